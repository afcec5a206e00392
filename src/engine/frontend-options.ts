/** What a frontend is told of a request. */
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { FrontendOptions } from '#languages/frontend/contract.ts';
import { contextName, type NamedContext } from '#languages/frontend/named-context.ts';
import type { BuildSource } from './build-source.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked, platformsOf } from './platform.ts';
import { remoteOp } from './remote-address.ts';
import type { BuildRequest, ContextRequest } from './build-requests.ts';

/** For one of the platforms of a build; the first when not said. */
export async function frontendOptions(
  { engine, request, source }: { readonly engine: Pick<Engine, 'proxies'>; readonly request: BuildRequest; readonly source: BuildSource },
  platform = platformsOf(request)[0],
): Promise<FrontendOptions> {
  return {
    file: source.name,
    target: request.target,
    buildArgs: new Map([...proxiesBeside(request.buildArgs, await engine.proxies()), ...request.buildArgs]),
    labels: request.labels,
    platform,
    isOneOfSeveral: platformsOf(request).length > 1,
    buildPlatform: nativeOrAsked(undefined),
    noCache: request.noCache,
    noCacheStages: request.noCacheStages,
    network: request.network,
    // As buildx has it, asking for the host's network is allowing it.
    allow: request.network === 'host' ? [...request.allow, 'network.host'] : request.allow,
    extraHosts: request.extraHosts,
    shmSize: request.shmSize ?? null,
    ulimits: request.ulimits,
    ...(request.cgroupParent === undefined ? {} : { cgroupParent: request.cgroupParent }),
    ignorePatterns: source.ignore,
    contexts: namedContexts(request),
    isClassic: request.isClassic ?? false,
    ...(request.admit === undefined ? {} : { admit: request.admit }),
  };
}

/** Those that nobody gave in whatever spelling. They are no part of the request: records and provenance of a build say what was asked for, not what this machine is set to. */
function proxiesBeside(
  buildArgs: ReadonlyMap<string, string>,
  proxies: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] {
  const given = new Set([...buildArgs.keys()].map((name) => name.toUpperCase()));
  return [...proxies].filter(([name]) => !given.has(name));
}

/** Contexts by the one form of their names. Throws `engine/bad-context-name`. */
export function contextsByName(request: BuildRequest): ReadonlyMap<string, ContextRequest> {
  return new Map(
    [...request.contexts].map(([written, context]) => {
      const name = contextName(written);
      if (name !== undefined && name !== 'context') return [name, context] as const;
      throw new JettisonError('engine/bad-context-name', `"${written}" cannot be the name of a build context`, {
        hint: name === undefined ? 'Names are like those of images and stages, in lower case' : 'It is the name of the main one',
      });
    }),
  );
}

function namedContexts(request: BuildRequest): ReadonlyMap<string, NamedContext> {
  return new Map(
    [...contextsByName(request)].map(([name, context]): [string, NamedContext] => {
      if (context.kind === 'folder') return [name, { kind: 'folder' }];
      if (context.kind === 'remote')
        return [name, { kind: 'remote', op: remoteOp(context.address, { keepGitFolder: false, admit: request.admit }) }];
      const reference =
        context.kind === 'image' ? printReference(withDefaultTag(parseReference(context.reference))) : layoutReference(name);
      return [name, { kind: 'image', reference }];
    }),
  );
}

const layoutScheme = 'oci-layout://';

/** How the frontend asks for the image of a layout. */
function layoutReference(name: string): string {
  return `${layoutScheme}${name}`;
}

/** The name of the context when `reference` came from `layoutReference`. */
export function layoutNamed(reference: string): string | undefined {
  return reference.startsWith(layoutScheme) ? reference.slice(layoutScheme.length) : undefined;
}
