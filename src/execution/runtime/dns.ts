/** The files by which a container finds names: made for each run and mounted, so that they never reach a layer. */
import type { NameFiles } from './contract.ts';

/**
 * /etc/hosts with localhost, the container's own name and extra lines (`name:address`, IPv6 with or without brackets);
 * /etc/hostname for a container, not for a build step, which may write that file of the image; /etc/resolv.conf as the host has it, or as the container's own network wants it.
 */
export function nameFiles(from: {
  readonly hostname: string;
  /** Of a container with a network of its own: by these others reach it. */
  readonly addresses?: readonly string[];
  readonly extraHosts: readonly string[];
  /** Text of the host's own /etc/resolv.conf, or of what stands in its place; empty where it has none. */
  readonly hostResolvConf: string;
  /** A build step: its files are read-only and /etc/hosts is as BuildKit writes it; else a container, as Docker has it. */
  readonly isStep: boolean;
}): NameFiles {
  const lines = from.isStep ? stepLines(from.hostname) : containerLines(from.hostname, from.addresses ?? []);
  return {
    hosts: `${[...lines, ...from.extraHosts.map(hostsLine)].join('\n')}\n`,
    hostname: from.isStep ? null : `${from.hostname}\n`,
    resolvConf: from.hostResolvConf,
    readOnly: from.isStep,
  };
}

/** What `--dns`, `--dns-search` and `--dns-option` say; what is empty is as the host has it. */
export type DnsSettings = { readonly servers: readonly string[]; readonly search: readonly string[]; readonly options: readonly string[] };

/** resolv.conf(5) of the host with other servers, domains or options; `.` as the only domain: none. */
export function changeResolvConf(host: string, { servers, search, options }: DnsSettings): string {
  if (servers.length + search.length + options.length === 0) return host;
  const lines = host.split('\n').map((line) => line.trim());
  const kept = (...words: readonly string[]): readonly string[] => lines.filter((line) => words.includes(line.split(/\s/u)[0] ?? ''));
  const domains = search.filter((domain) => domain !== '.');
  const changed = [
    ...(servers.length === 0 ? kept('nameserver') : servers.map((server) => `nameserver ${server}`)),
    ...(search.length === 0 ? kept('search', 'domain') : domains.length === 0 ? [] : [`search ${domains.join(' ')}`]),
    ...(options.length === 0 ? kept('options') : [`options ${options.join(' ')}`]),
  ];
  return changed.map((line) => `${line}\n`).join('');
}

function stepLines(hostname: string): readonly string[] {
  return [`127.0.0.1\tlocalhost ${hostname}`, '::1\tlocalhost ip6-localhost ip6-loopback'];
}

function containerLines(hostname: string, addresses: readonly string[]): readonly string[] {
  return [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'ff00::0\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
    ...(addresses.length === 0 ? ['127.0.0.1'] : addresses).map((address) => `${address}\t${hostname}`),
  ];
}

/** `name:address` or `name=address`, as `--add-host` takes them. */
function hostsLine(extra: string): string {
  const at = extra.search(/[:=]/u);
  const address = extra.slice(at + 1).replaceAll(/^\[|\]$/gu, '');
  return `${address}\t${extra.slice(0, at)}`;
}
