/** Runs in namespaces of its own: mounts a tmpfs on argv[2], starts a grandchild in a session of its own, says so, then echoes messages. With `deaf` it does not notice that its channel closes. */
import { spawn } from 'node:child_process';
import { mountFileSystem } from '#ground/linux/mount.ts';

const [, , folder = '', marker = '', mode] = process.argv;
mountFileSystem({ source: 'jettison', target: folder, type: 'tmpfs', flags: 0, options: '' });
spawn('setsid', ['--fork', 'sleep', marker], { stdio: 'ignore' });
process.on('message', (message) => process.send?.(message));
if (mode === 'deaf') setInterval(() => {}, 1000);
process.send?.({ kind: 'ready', pid: process.pid });
