/** QEMU's control socket (QEMU Machine Protocol: one JSON object a line; docs/interop/qmp-spec in QEMU's sources). */
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { BladerootError } from '../src/errors.ts';

/**
 * Connects, says one command, and leaves: QEMU serves one client at a time, and `lab status` in another terminal
 * must get its turn.
 * @returns what QEMU answers
 * @throws BladerootError `QMP_FAILED` when QEMU refuses the command, hangs up, or does not answer within 10 s.
 */
export async function qmpCommand(
  socketPath: string,
  command: string,
  args: Record<string, unknown> = {},
  signal?: AbortSignal,
): Promise<unknown> {
  const late = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const socket = connect({
    path: socketPath,
    signal: signal === undefined ? late : AbortSignal.any([late, signal]),
  });
  try {
    const messages = readMessages(socket);
    await messages.next(); // the greeting
    await say(socket, messages, 'qmp_capabilities', {});
    return await say(socket, messages, command, args);
  } catch (cause) {
    signal?.throwIfAborted();
    const why = late.aborted ? 'no answer' : cause instanceof Error ? cause.message : String(cause);
    throw new BladerootError('QMP_FAILED', `QEMU did not carry out ${command}: ${why}`, { cause });
  } finally {
    socket.destroy();
  }
}

const ANSWER_TIMEOUT_MS = 10_000;

const messageSchema = z.object({
  return: z.unknown().optional(),
  error: z.object({ desc: z.string() }).optional(),
});

async function say(
  socket: Socket,
  messages: AsyncGenerator<unknown>,
  execute: string,
  args: Record<string, unknown>,
): Promise<unknown> {
  socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
  for (;;) {
    const next = await messages.next();
    if (next.done === true) throw new Error('QEMU hung up');
    const message = messageSchema.parse(next.value);
    if (message.error !== undefined) throw new Error(message.error.desc);
    if (message.return !== undefined) return message.return;
    // Anything else is an event, which may come at any time.
  }
}

async function* readMessages(socket: Socket): AsyncGenerator<unknown> {
  let rest = '';
  socket.setEncoding('utf8');
  for await (const text of socket) {
    const lines = (rest + String(text)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
  }
}
