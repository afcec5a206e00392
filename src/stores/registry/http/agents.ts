/** Kept connections: through which proxy, and by which certificates. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { createSecureContext, getCACertificates } from 'node:tls';
import { messageOf } from '#ground/base/errors.ts';
import { isLoopback } from '../config.ts';
import { registryError } from '../errors.ts';
import { badCertificates, readHostCertificates } from './host-certificates.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Disposing ends the connections that are kept. */
export type Agents = Disposable & {
  /** Throws `registry/bad-proxy`, `registry/bad-certificates`. */
  agentFor(url: URL): HttpAgent;
  /** Are certificates checked by this machine's authorities, too? */
  trustsMachine(): boolean;
  /** To be called when a certificate of an unknown authority was shown: reading those of the machine takes a while. */
  trustMachine(): void;
};

/** Loopback hosts are never asked through a proxy. */
export function createAgents(environment: Environment): Agents {
  const keep = { keepAlive: true, maxFreeSockets: 8 };
  const made = new Map<string, HttpAgent>();
  const all: HttpAgent[] = [];
  let machine: readonly string[] | undefined;
  const make = (url: URL): HttpAgent => {
    const proxied = isLoopback(url.host) ? {} : { proxyEnv: proxiesOf(environment) };
    if (url.protocol !== 'https:') return new HttpAgent({ ...keep, ...proxied });
    return new HttpsAgent({ ...keep, ...proxied, ...trustOf(url.host, machine, environment) });
  };
  return {
    agentFor: (url) => {
      const known = made.get(url.origin);
      if (known !== undefined) return known;
      const agent = make(url);
      made.set(url.origin, agent);
      all.push(agent);
      return agent;
    },
    trustsMachine: () => machine !== undefined,
    trustMachine: () => {
      if (machine !== undefined) return;
      machine = getCACertificates('system');
      // Those in use go on with what they have.
      for (const [origin] of made) if (origin.startsWith('https:')) made.delete(origin);
    },
    [Symbol.dispose]: () => all.forEach((agent) => agent.destroy()),
  };
}

type Trust = { readonly ca?: string[]; readonly cert?: string; readonly key?: string };

function trustOf(host: string, machine: readonly string[] | undefined, environment: Environment): Trust {
  const certificates = readHostCertificates(host, environment);
  const more = [...(machine ?? []), ...(certificates?.authorities ?? [])];
  const own = certificates?.own;
  const trust = {
    ...(more.length === 0 ? {} : { ca: [...new Set([...getCACertificates('default'), ...more])] }),
    ...(own === undefined ? {} : { cert: own.certificate, key: own.key }),
  };
  if (certificates !== undefined) {
    try {
      createSecureContext(trust);
    } catch (error) {
      throw badCertificates(certificates.folder, messageOf(error), error);
    }
  }
  return trust;
}

const proxyNames = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'];

/** As Go and curl take them: `proxy.example:3128` is `http://proxy.example:3128`. Throws `registry/bad-proxy` for others than those of the web. */
function proxiesOf(environment: Environment): Record<string, string | undefined> {
  const proxies = { ...environment };
  for (const name of proxyNames) {
    const given = environment[name];
    if (!given) continue;
    const address = /^[a-z][a-z0-9+.-]*:\/\//iu.test(given) ? given : `http://${given}`;
    const url = URL.parse(address);
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
      const why = url === null ? 'that is no address' : `its address begins with "${url.protocol}//"`;
      throw registryError('bad-proxy', `Cannot use the proxy of ${name}: ${why}`, {
        fault: 'user',
        hint: `Only proxies of the web are known: set ${name} to an address of "http://" or "https://", or unset it`,
      });
    }
    proxies[name] = address;
  }
  return proxies;
}
