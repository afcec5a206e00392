/** What a container reads as /etc/resolv.conf, made of that of the machine (resolv.conf(5)). */
import { fstatSync, ftruncateSync, readFileSync, writeSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { fromText } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { openRoot } from '#ground/linux/rooted-path.ts';
import { openFlags } from '#ground/linux/syscall.ts';

export type Resolving = {
  readonly nameServers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
};

/** The text of the machine's own; empty where it has none. */
export function readMachineResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return '';
  }
}

/** Reads a resolv.conf; of several `search` lines the last counts. */
export function parseResolvConf(text: string): Resolving {
  const lines = text.split('\n').map((line) =>
    line
      .replace(/[#;].*$/u, '')
      .trim()
      .split(/\s+/u),
  );
  const of = (word: string): readonly (readonly string[])[] => lines.filter(([first]) => first === word).map(([, ...rest]) => rest);
  return {
    nameServers: of('nameserver').flatMap(([address = '']) => (isIPv4(address) || isIPv6(address) ? [address] : [])),
    search: [...of('domain'), ...of('search')].at(-1) ?? [],
    options: of('options').flat(),
  };
}

export function printResolvConf({ nameServers, search, options }: Resolving): string {
  return [
    ...nameServers.map((address) => `nameserver ${address}\n`),
    ...(search.length > 0 ? [`search ${search.join(' ')}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('');
}

/**
 * Gives a container that runs another /etc/resolv.conf, as long as it is as we wrote it; `process` is its first, as this process sees it. False where it is another's by now, or cannot be
 * written: the container's root is read-only.
 */
export function renewResolvConf(process: number, { before, after }: { readonly before: string; readonly after: string }): boolean {
  using root = openRoot(`/proc/${process}/root`);
  try {
    using found = root.openFollowing(fromText('etc/resolv.conf'), openFlags.readWrite | openFlags.nonBlocking);
    if (!fstatSync(found.file).isFile() || readFileSync(found.file, 'utf8') !== before) return false;
    ftruncateSync(found.file);
    writeSync(found.file, after, 0);
    return true;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}

/** Name servers that a container on a bridge reaches itself: not those of the machine's own `lo`, and none of IPv6. */
export function reachableServers({ nameServers }: Resolving): readonly string[] {
  return nameServers.filter((address) => isIPv4(address) && !address.startsWith('127.'));
}

/** For a container whose name server is ours: a name without dots is one of a container, unless `asked` says otherwise. */
export function withOwnServer({ search, options }: Resolving, address: string, asked: readonly string[] = []): Resolving {
  const ndots = asked.filter(isNdots);
  const others = options.filter((option) => !isNdots(option));
  return { nameServers: [address], search, options: [...others, ...(ndots.length > 0 ? ndots : ['ndots:0'])] };
}

function isNdots(option: string): boolean {
  return option.startsWith('ndots:');
}
