/** Ports as docker's tables show them. */
import type { OpenPort } from '#engine/networks.ts';

/** `0.0.0.0:8080`, `[::]:8080` */
export function printAddress({ address, host }: Pick<OpenPort, 'address' | 'host'>): string {
  return `${address.includes(':') ? `[${address}]` : address}:${host}`;
}

/**
 * The PORTS column: `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp`, and ports that are only exposed (`80/tcp`). Those that follow each other on both sides are one range.
 */
export function printPorts(open: readonly OpenPort[], exposed: readonly string[]): string {
  const sorted = open.toSorted((one, other) => one.port - other.port || one.host - other.host);
  const groups = Map.groupBy(sorted, ({ address, protocol, host, port }) => `${protocol} ${address} ${host - port}`);
  const published = [...groups.values()].flatMap((group) => runsOf(group).map(printRun));
  const isPublished = (text: string): boolean => open.some(({ port, protocol }) => `${port}/${protocol}` === text);
  const closed = exposed.filter((text) => !isPublished(text)).toSorted((one, other) => parseInt(one, 10) - parseInt(other, 10));
  return [...closed, ...published].join(', ');
}

type Run = { readonly first: OpenPort; last: OpenPort };

function runsOf(group: readonly OpenPort[]): readonly Run[] {
  const runs: Run[] = [];
  for (const one of group) {
    const run = runs.at(-1);
    if (run !== undefined && one.port === run.last.port + 1) run.last = one;
    else runs.push({ first: one, last: one });
  }
  return runs;
}

function printRun({ first, last }: Run): string {
  const address = first.address.includes(':') ? `[${first.address}]` : first.address;
  return `${address}:${range(first.host, last.host)}->${range(first.port, last.port)}/${first.protocol}`;
}

function range(from: number, to: number): string {
  return from === to ? String(from) : `${from}-${to}`;
}
