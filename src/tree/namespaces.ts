/**
 * The program and arguments that run a command in mount and PID namespaces of its own: what it mounts nobody else sees,
 * and when this process ends, or kills what it started (with SIGKILL: unshare holds back all else), everything in there
 * ends at once and nothing stays mounted.
 */
export function inNamespaces(command: string[]): [program: string, args: string[]] {
  const namespaces = [
    '--mount',
    '--propagation',
    // What is unmounted outside is not held in here, where that is shared, as systemd has it.
    'slave',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ];
  // unshare would outlive this process.
  return ['setpriv', ['--pdeathsig', 'KILL', 'unshare', ...namespaces, ...command]];
}
