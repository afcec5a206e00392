/** The kernel's control groups, cgroups(7): where this process stands, and folders of them, in version 1 and 2. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { mountFileSystem, mountFlags } from './mount.ts';

export type CgroupHierarchy = {
  readonly version: 1 | 2;
  /** As the kernel names them together (`cpu,cpuacct`); `unified` for version 2. */
  readonly name: string;
  /** This process's cgroup in it, absolute. */
  readonly own: string;
};

/** The hierarchies of a `/proc/PID/cgroup`; named ones of version 1 without a controller are left out. */
export function readHierarchies(text: string): readonly CgroupHierarchy[] {
  return text.split('\n').flatMap((line): readonly CgroupHierarchy[] => {
    const match = /^\d+:([^:]*):(\/.*)$/u.exec(line);
    const [name, own] = [match?.[1], match?.[2]];
    if (name === undefined || own === undefined || name.startsWith('name=')) return [];
    return [name === '' ? { version: 2, name: 'unified', own } : { version: 1, name, own }];
  });
}

/** Mounts a hierarchy once more, at `<folder>/<name>`, whatever lies over /sys/fs/cgroup. Only in a mount namespace of one's own. Gives the mount's folder. */
export function mountHierarchy({ version, name }: Pick<CgroupHierarchy, 'version' | 'name'>, folder: string): string {
  const target = join(folder, name);
  mkdirSync(target, { recursive: true, mode: 0o700 });
  mountFileSystem({
    source: 'cgroup',
    target,
    type: version === 2 ? 'cgroup2' : 'cgroup',
    flags: mountFlags.noSuid | mountFlags.noDevice | mountFlags.noExec,
    options: version === 2 ? '' : name,
  });
  return target;
}

/** Removes the cgroup at `folder` with those below it, once. False while a process is in one of them. */
export function removeCgroup(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory() && !removeCgroup(join(folder, entry.name))) return false;
    }
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EBUSY' || systemCode(error) === 'ENOTEMPTY') return false;
    if (systemCode(error) === 'ENOENT') return true;
    throw error;
  }
}

/** One number of a file of lines `name number` (`memory.events`); 0 where file or line is missing. */
export function readCount(file: string, name: string): number {
  try {
    return Number(new RegExp(`^${name} (\\d+)$`, 'mu').exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
