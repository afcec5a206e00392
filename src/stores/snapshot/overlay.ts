/**
 * Overlay mounts of a chain. Layers are named relative to the folder that holds them, so that 500 of them, the most that the kernel takes
 * (OVL_MAX_STACK), fit the one page of mount options. https://docs.kernel.org/filesystems/overlayfs.html
 */
import { existsSync } from 'node:fs';
import { toText, type ByteString } from '#ground/base/byte-string.ts';
import { fullDisk, fullDiskHint, JettisonError, systemCode } from '#ground/base/errors.ts';
import { isFullDisk } from '#ground/base/full-disk.ts';
import { insideFolder, mountFileSystem, unmount } from '#ground/linux/mount.ts';
import { isMachineRoot } from '#ground/linux/user-namespace.ts';

export type OverlayMount = {
  /** Open folder that the names below are relative to. */
  readonly base: number;
  /** Topmost first, at least one; without `upper` at least two. Names may hold no `:`, `,` or `\`. */
  readonly lowers: readonly string[];
  readonly upper: { readonly folder: string; readonly work: string } | undefined;
  /** Absolute. */
  readonly target: ByteString;
  /** Of `mountFlags`; none by default. */
  readonly flags?: number;
};

const maximumLowers = 500;
const pageSize = 4096;
/** What must not end up in a snapshot: renamed folders by reference, files without data, references to other inodes. */
const plainForm = 'redirect_dir=nofollow,metacopy=off,index=off,xino=off';
/** Where `trusted.*` is for the machine's own root alone (Linux 5.11). */
const marksForUsers = ',userxattr';

let takesVolatile = true;

/** Mounts it; the caller unmounts. Throws `snapshot/too-many-layers`, `snapshot/no-space`, `snapshot/broken-disk`, `snapshot/overlay-unusable`. */
export function mountOverlay(overlay: OverlayMount): void {
  const { lowers, upper } = overlay;
  const layers = `lowerdir=${lowers.join(':')}${upper ? `,upperdir=${upper.folder},workdir=${upper.work}` : ''}`;
  if (lowers.length > maximumLowers || layers.length + plainForm.length + marksForUsers.length + ',volatile'.length >= pageSize) {
    throw new JettisonError('snapshot/too-many-layers', `Cannot mount ${lowers.length} layers over each other`, {
      hint: `The kernel takes at most ${maximumLowers}: use fewer steps, or start a new stage and COPY the result into it`,
    });
  }
  try {
    mountWith(overlay, `${layers},${plainForm}${isMachineRoot() ? '' : marksForUsers}`);
  } catch (error) {
    const full = fullDisk(error);
    if (full !== undefined) throw noSpace(overlay, full, error);
    if (systemCode(error) === 'EIO')
      throw new JettisonError(
        'snapshot/broken-disk',
        `Cannot mount an overlay at "${toText(overlay.target)}": the disk under it fails (EIO)`,
        {
          fault: 'environment',
          cause: error,
          hint: 'See what the kernel says of it (dmesg), and name a folder on another disk in JETTISON_STORE',
        },
      );
    throw new JettisonError(
      'snapshot/overlay-unusable',
      `Cannot mount an overlay of ${lowers.length} layers: ${systemCode(error) ?? 'failed'}`,
      {
        fault: 'environment',
        cause: error,
        hint: 'jettison needs CAP_SYS_ADMIN, Linux 4.19 or later (5.11 without root), and its folder on a file system like ext4, XFS or Btrfs (not on another overlay)',
      },
    );
  }
  checkWritable(overlay);
}

/** Where the kernel cannot make its own folder in the work folder, it mounts read-only and says so in its log alone. */
function checkWritable(overlay: OverlayMount): void {
  const folder = `/proc/self/fd/${overlay.base}`;
  if (overlay.upper === undefined || existsSync(`${folder}/${overlay.upper.work}/work`)) return;
  unmount(overlay.target);
  throw isFullDisk(folder)
    ? noSpace(overlay, 'no space left on device')
    : new JettisonError('snapshot/overlay-unusable', 'Cannot mount an overlay: the kernel made it read-only', { fault: 'environment' });
}

function noSpace({ target }: OverlayMount, words: string, cause?: unknown): JettisonError {
  return new JettisonError('snapshot/no-space', `Cannot mount an overlay at "${toText(target)}": ${words}`, {
    fault: 'environment',
    cause,
    hint: fullDiskHint,
  });
}

/** `volatile` (Linux 5.10) spares a sync at unmounting; nothing here waits for the disk before its time. */
function mountWith(overlay: OverlayMount, options: string): void {
  const mount = (text: string): void =>
    insideFolder(overlay.base, () =>
      mountFileSystem({ source: 'jettison', target: overlay.target, type: 'overlay', flags: overlay.flags ?? 0, options: text }),
    );
  if (!overlay.upper || !takesVolatile) return mount(options);
  try {
    mount(`${options},volatile`);
  } catch (error) {
    if (systemCode(error) !== 'EINVAL') throw error;
    mount(options);
    takesVolatile = false;
  }
}
