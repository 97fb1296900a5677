/** Extended attributes as the kernel has them, in hex. */

// Tags of linux/posix_acl.h.
const TAGS = { owner: 1, user: 2, ownGroup: 4, group: 8, mask: 16, other: 32 } as const;
const NO_ID = 0xffffffff;

type AclEntry = readonly [tag: keyof typeof TAGS, permissions: number, id?: number];

/** A POSIX ACL (struct posix_acl_xattr_header and _entry of linux/posix_acl_xattr.h). */
export function acl(entries: readonly AclEntry[]): string {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2);
  for (const [i, [tag, permissions, id = NO_ID]] of entries.entries()) {
    bytes.writeUInt16LE(TAGS[tag], 4 + 8 * i);
    bytes.writeUInt16LE(permissions, 6 + 8 * i);
    bytes.writeUInt32LE(id, 8 + 8 * i);
  }
  return bytes.toString('hex');
}

/** An ACL with a user and a group of its own. */
export const SOME_ACL = acl([
  ['owner', 7],
  ['user', 6, 1234],
  ['ownGroup', 5],
  ['group', 4, 77],
  ['mask', 7],
  ['other', 0],
]);

/** CAP_NET_RAW, permitted and effective (struct vfs_cap_data of linux/capability.h, revision 2). */
export const NET_RAW = '0100000200200000000000000000000000000000';
