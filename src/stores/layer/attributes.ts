/**
 * Which extended attributes belong to an image: file capabilities, access lists, the owner's own (`user.*`) and `trusted.*`. Labels of
 * the host's security modules do not, nor do the marks of overlayfs: in a layer from outside such a mark could show the files of other
 * folders. Nor does what we note in `user.jettison.*` (`devices.ts`).
 */
export function belongsToLayer(name: string): boolean {
  if (name === 'security.capability' || name === 'system.posix_acl_access' || name === 'system.posix_acl_default') return true;
  return /^(?:trusted|user)\.(?!overlay\.|jettison\.)/u.test(name);
}
