/** Where registries are and how they are spoken to: mirrors, plain HTTP. Decoded from the `registries` member of the configuration file. */
import * as v from 'valibot';
import { checkShape } from '#ground/base/decode.ts';
import { JettisonError } from '#ground/base/errors.ts';

/** A place that answers for a registry. */
export type Mirror = {
  /** Host and port: `mirror.example:5000`. */
  readonly host: string;
  readonly plainHttp: boolean;
  /** Put before the repository: `cache/hub` makes `cache/hub/library/busybox`; '' for nothing. */
  readonly prefix: string;
};

export type RegistrySettings = {
  /** Asked first, in order, when something is pulled; never pushed to. */
  readonly mirrors: readonly Mirror[];
  /** undefined: HTTPS, but for loopback hosts plain HTTP first. */
  readonly plainHttp: boolean | undefined;
  /** Asked in the registry's place, also for pushes; its prefix is empty. */
  readonly location?: Mirror;
};

/** By registry as it stands in a reference: `docker.io`, `reg.example:5000`. */
export type RegistryConfig = ReadonlyMap<string, RegistrySettings>;

/** One base URL to speak to. */
export type Endpoint = {
  /** Host and port of the registry or mirror, for messages and for finding credentials. */
  readonly host: string;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Where plain HTTP is only a first guess: an answer may send us to HTTPS. */
  readonly guessed: boolean;
  readonly prefix: string;
  readonly isMirror: boolean;
};

const hostGrammar = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/u;
const prefixGrammar = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/u;

const schema = v.optional(
  v.record(
    v.string(),
    v.strictObject({
      mirrors: v.exactOptional(v.pipe(v.array(v.string()), v.maxLength(16))),
      plainHttp: v.exactOptional(v.boolean()),
      location: v.exactOptional(v.string()),
    }),
  ),
);

/**
 * `{"docker.io": {"mirrors": ["http://127.0.0.1:5000", "https://mirror.example/hub"]}, "reg.example:5000": {"plainHttp": true}}`.
 * `{"docker.io": {"location": "registry.example"}}`: nobody asks the registry itself any more. A mirror or location without a scheme is asked by HTTPS. Throws `registry/bad-config`.
 */
export function decodeRegistryConfig(json: unknown): RegistryConfig {
  const document = { what: '"registries" of the configuration', code: 'registry/bad-config', limit: 0 };
  const decoded = checkShape(json, schema, document) ?? {};
  return new Map(
    Object.entries(decoded).map(([host, settings]) => [
      checkHost(host),
      {
        mirrors: (settings.mirrors ?? []).map(parseMirror),
        plainHttp: settings.plainHttp,
        ...(settings.location === undefined ? {} : { location: parseLocation(settings.location) }),
      },
    ]),
  );
}

export const noRegistryConfig: RegistryConfig = new Map();

/** The endpoints that may serve a pull from `registry`, best first: the registry itself is the last. */
export function pullEndpoints(config: RegistryConfig, registry: string): readonly Endpoint[] {
  const mirrors = config.get(registry)?.mirrors ?? [];
  return [
    ...mirrors.map((mirror) => ({
      host: mirror.host,
      origin: `${mirror.plainHttp ? 'http' : 'https'}://${mirror.host}`,
      guessed: false,
      prefix: mirror.prefix,
      isMirror: true,
    })),
    pushEndpoint(config, registry),
  ];
}

/** The registry itself, or what stands in its place. */
export function pushEndpoint(config: RegistryConfig, registry: string): Endpoint {
  const location = config.get(registry)?.location;
  if (location !== undefined) {
    const origin = `${location.plainHttp ? 'http' : 'https'}://${location.host}`;
    return { host: location.host, origin, guessed: false, prefix: '', isMirror: false };
  }
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const plainHttp = config.get(registry)?.plainHttp;
  const guessed = plainHttp === undefined && isLoopback(host);
  return { host, origin: `${(plainHttp ?? guessed) ? 'http' : 'https'}://${host}`, guessed, prefix: '', isMirror: false };
}

/** 127.0.0.0/8, ::1 and localhost, with or without a port. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/u, '').toLowerCase();
  return name === 'localhost' || name === '[::1]' || /^127(?:\.\d{1,3}){3}$/u.test(name);
}

function parseMirror(text: string): Mirror {
  const [, scheme, host = '', path = ''] = /^(?:(https?):\/\/)?([^/]*)(?:\/(.*?))?\/?$/u.exec(text) ?? [];
  if (path !== '' && !prefixGrammar.test(path)) throw badConfig(`"${text}" is no mirror`);
  return { host: checkHost(host), plainHttp: scheme === 'http', prefix: path };
}

function parseLocation(text: string): Mirror {
  const location = parseMirror(text);
  if (location.prefix === '') return location;
  throw badConfig(`"${text}" is no location: it names a host, and a path cannot be put before the names of images`);
}

function checkHost(host: string): string {
  if (!hostGrammar.test(host)) throw badConfig(`"${host}" is no host`);
  return host;
}

function badConfig(why: string): JettisonError {
  return new JettisonError('registry/bad-config', `Cannot read "registries" of the configuration: ${why}`, {
    hint: 'Registries are named by host and port, such as "reg.example:5000"; mirrors may be URLs, such as "http://127.0.0.1:5000"',
  });
}
