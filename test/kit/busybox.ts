/** A small root file system made of the machine's static busybox. */
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const applets =
  'sh true false cat echo id ls env sleep mount unshare mknod test kill grep hostname touch mkdir rm sed head wc sort cut ln chmod stat readlink trap pwd ip tr seq dd setsid mv';

/** Writes /bin, /dev, /etc, /root, /tmp into the existing folder `root`. No /proc and no /sys, as in small images. */
export function makeBusyboxRoot(root: string): void {
  for (const name of ['bin', 'dev', 'etc', 'root', 'tmp']) mkdirSync(join(root, name));
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of applets.split(' ')) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:700:700::/home/app:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\napp:x:700:\nextra:x:701:app\nusers:x:100:\n');
}
