/** Options of run and create about rights, namespaces, devices and names, in the docker CLI's forms. */
import type { ContainerSettings } from '#engine/container-requests.ts';
import { readSecurityOptions } from '#engine/security-options.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { readAtMost } from '#ground/base/read-at-most.ts';
import { badValue, flag, list, parsed, type ValuesOf } from '../option.ts';
import { readSize } from '../option-values.ts';

export const holdOptions = {
  annotations: list('annotation', { value: 'map', help: 'Note an annotation: "NAME=VALUE"' }),
  capAdd: list('cap-add', { value: 'list', help: 'Add Linux capabilities' }),
  capDrop: list('cap-drop', { value: 'list', help: 'Drop Linux capabilities' }),
  cgroupns: namespace('cgroupns', 'Cgroup namespace to use: "private" or "host"', ['host', 'private']),
  devices: list('device', { value: 'list', help: 'Show a device of the host: "SOURCE[:TARGET[:rwm]]"' }),
  dns: list('dns', { value: 'list', help: 'Set name servers' }),
  dnsOptions: list('dns-option', { value: 'list', help: 'Set options of name servers' }),
  dnsSearch: list('dns-search', { value: 'list', help: 'Set the domains that are searched' }),
  extraHosts: list('add-host', { value: 'list', help: 'Add a line to /etc/hosts: "HOST:IP"' }),
  groups: list('group-add', { value: 'list', help: 'Join additional groups' }),
  hasInit: flag('init', { help: 'Run a small init that forwards signals and reaps processes' }),
  ipc: namespace('ipc', 'IPC mode to use: "private", "host" or "none"', ['private', 'host', 'none', 'shareable']),
  isPrivileged: flag('privileged', { help: 'Give the container all that there is: capabilities, devices, system calls' }),
  pid: namespace('pid', 'PID namespace to use: "private"', ['private']),
  readOnlyRoot: flag('read-only', { help: "Mount the container's root filesystem as read only" }),
  securityOptions: list('security-opt', { value: 'list', help: 'no-new-privileges, seccomp=FILE|unconfined, systempaths=unconfined' }),
  shmSize: parsed<number | null>('shm-size', { value: 'bytes', initial: null, help: 'Size of /dev/shm' }, (word) =>
    readSize('shm-size', word),
  ),
  sysctls: list('sysctl', { value: 'map', help: 'Settings of the kernel: "net.ipv4.ip_forward=1"' }),
  userns: namespace('userns', 'User namespace to use: "host"', ['host']),
  uts: namespace('uts', 'UTS namespace to use: "private" or "host"', ['private', 'host']),
} as const;

type Given = ValuesOf<typeof holdOptions> & { readonly lacksHealthcheck: boolean };

/** Throws `cli/bad-value`, `cli/not-built`. */
export function readHold(
  given: Given,
): Pick<
  ContainerSettings,
  | 'isPrivileged'
  | 'capAdd'
  | 'capDrop'
  | 'securityOptions'
  | 'hasReadOnlyRoot'
  | 'devices'
  | 'hasInit'
  | 'sysctls'
  | 'ipc'
  | 'uts'
  | 'cgroupns'
  | 'userns'
  | 'groups'
  | 'extraHosts'
  | 'dns'
  | 'shmSize'
  | 'annotations'
  | 'lacksHealthcheck'
> {
  return {
    isPrivileged: given.isPrivileged,
    capAdd: given.capAdd.map(capabilityName),
    capDrop: given.capDrop.map(capabilityName),
    securityOptions: given.securityOptions.map(readSecurity),
    hasReadOnlyRoot: given.readOnlyRoot,
    devices: given.devices.map(readDevice),
    hasInit: given.hasInit ? true : null,
    sysctls: Object.fromEntries(given.sysctls.map(readSysctl)),
    ipc: given.ipc,
    uts: given.uts,
    cgroupns: given.cgroupns,
    userns: given.userns,
    groups: [...given.groups],
    extraHosts: given.extraHosts.map(readHost),
    dns: {
      servers: given.dns.map(readServer),
      search: given.dnsSearch.map(readDomain),
      options: given.dnsOptions.map((word) => oneWord('dns-option', word)),
    },
    shmSize: given.shmSize,
    annotations: Object.fromEntries(given.annotations.map((word) => pairOf('annotation', word))),
    lacksHealthcheck: given.lacksHealthcheck,
  };
}

function namespace(long: string, help: string, words: readonly string[]) {
  return parsed<string>(long, { initial: '', help }, (word) => {
    if (word === '' || words.includes(word)) return word;
    const isOther = /^(?:container|ns):/u.test(word) || word === 'host';
    if (!isOther) throw badValue(long, word, `use ${words.map((one) => `"${one}"`).join(', ')}`);
    throw new JettisonError(
      'cli/not-built',
      `"--${long} ${word}" is not supported: each container is held by a process in namespaces of its own`,
      {
        hint: `Leave it out; there is ${words.map((one) => `"${one}"`).join(', ')}`,
      },
    );
  });
}

/** Docker takes them in any case, with and without the beginning. */
function capabilityName(word: string): string {
  const name = word.trim().toUpperCase();
  return name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`;
}

/** A profile's file is read here, as the docker CLI does. */
function readSecurity(word: string): string {
  const file = /^seccomp[=:]([^]+)$/u.exec(word)?.[1];
  const option = file === undefined || file === 'unconfined' || file === 'builtin' ? word : `seccomp=${readProfile(file)}`;
  readSecurityOptions([option]);
  return option;
}

const largestProfile = 4 << 20;

function readProfile(file: string): string {
  try {
    const profile = readAtMost(file, largestProfile);
    if (profile !== undefined) return new TextDecoder().decode(profile);
  } catch (error) {
    throw new JettisonError('cli/bad-value', `opening seccomp profile (${file}) failed: ${messageOf(error)}`, { cause: error });
  }
  throw new JettisonError('cli/bad-value', `opening seccomp profile (${file}) failed: it is larger than ${largestProfile} bytes`);
}

function readDevice(given: string): ContainerSettings['devices'][number] {
  const [source = '', second = '', third = '', ...rest] = given.split(':');
  if (/^[\w.-]+\/[\w.-]+=/u.test(given)) {
    throw new JettisonError('cli/not-built', `Devices by name are not supported ("--device ${given}")`, {
      hint: 'Name the file: "--device /dev/..."',
    });
  }
  const isMode = /^[rwm]{1,3}$/u.test(second) && third === '';
  const target = isMode || second === '' ? source : second;
  const permissions = isMode ? second : third === '' ? 'rwm' : third;
  if (rest.length > 0) throw badValue('device', given, `invalid device specification: ${given}`);
  if (!source.startsWith('/')) throw badValue('device', given, `${source} is not an absolute path`);
  if (!target.startsWith('/')) throw badValue('device', given, `bad format for path: ${given}`);
  if (!/^[rwm]{1,3}$/u.test(permissions) || new Set(permissions).size < permissions.length)
    throw badValue('device', given, `bad mode specified: ${permissions}`);
  if (permissions.includes('r') && permissions.includes('w')) return { source, target, permissions };
  throw new JettisonError('cli/not-built', `A device cannot be given for "${permissions}" alone ("--device ${given}")`, {
    hint: 'It is shown as the host has it, to be read and written: use "rw", and the rights of its file',
  });
}

const namespacedSettings =
  /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.[\w.]+|net\.[\w./-]+)$/u;

function readSysctl(given: string): readonly [string, string] {
  const [name, value] = pairOf('sysctl', given);
  if (namespacedSettings.test(name)) return [name, value];
  throw badValue('sysctl', given, `sysctl '${given}' is not allowed`);
}

function pairOf(long: string, given: string): readonly [string, string] {
  const equals = given.indexOf('=');
  if (equals < 1) throw badValue(long, given, 'use "NAME=VALUE"');
  return [given.slice(0, equals), given.slice(equals + 1)];
}

/** `host:ip` or `host=ip`, an IPv6 address with or without brackets; `host-gateway` is left to the network. */
function readHost(given: string): string {
  const at = given.search(/[:=]/u);
  const [name, address] = [given.slice(0, at), given.slice(at + 1).replaceAll(/^\[|\]$/gu, '')];
  if (at < 1) throw badValue('add-host', given, `bad format for add-host: "${given}"`);
  if (address !== 'host-gateway' && !isAddress(address)) throw badValue('add-host', given, `invalid IP address in add-host: "${address}"`);
  return `${name}:${address}`;
}

function isAddress(text: string): boolean {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/u.exec(text)?.slice(1);
  return parts === undefined ? text.includes(':') && URL.canParse(`http://[${text}]/`) : parts.every((part) => Number(part) <= 255);
}

function readServer(given: string): string {
  if (isAddress(given)) return given;
  throw badValue('dns', given, `IP address is not correctly formatted: ${given}`);
}

function readDomain(given: string): string {
  if (given === '.' || /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?$/iu.test(given)) return given;
  throw badValue('dns-search', given, `invalid domain: ${given}`);
}

function oneWord(long: string, given: string): string {
  if (/^\S+$/u.test(given)) return given;
  throw badValue(long, given, 'it is one word, as in resolv.conf');
}
