/** What a frontend is told of a request. */
import type { FrontendOptions } from '#languages/frontend/contract.ts';
import type { BuildSource } from './build-source.ts';
import { nativeOrAsked } from './platform.ts';
import type { BuildRequest } from './requests.ts';

export function frontendOptions(request: BuildRequest, source: BuildSource): FrontendOptions {
  return {
    file: source.name,
    target: request.target,
    buildArgs: request.buildArgs,
    labels: request.labels,
    platform: nativeOrAsked(request.platform),
    buildPlatform: nativeOrAsked(undefined),
    noCache: request.noCache,
    noCacheStages: [],
    network: request.network,
    extraHosts: request.extraHosts,
    ignorePatterns: source.ignore,
  };
}
