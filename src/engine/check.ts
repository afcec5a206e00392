/** `jettison build --check`: what the linter has to say of a Dockerfile and of the options it would be built with. Nothing is built. */
import { checkDockerfile } from '#languages/dockerfile/lint.ts';
import { outlineDockerfile } from '#languages/dockerfile/outline.ts';
import { listTargets } from '#languages/dockerfile/targets.ts';
import { createBaseImages } from './base-images.ts';
import { readBuildSource } from './build-source.ts';
import { frontendOptions } from './frontend-options.ts';
import { openContext } from './open-context.ts';
import type { Engine } from './open.ts';
import { lazyRemoteSources } from './remote-sources.ts';
import type { BuildRequest, CheckOutcome, OutlineResult, TargetList } from './build-requests.ts';

/** Faults of the Dockerfile are findings (severity `error`), not exceptions. Throws what reading the Dockerfile throws. */
export async function checkBuild(engine: Engine, request: BuildRequest, signal: AbortSignal): Promise<CheckOutcome> {
  await using remote = lazyRemoteSources(engine, request);
  using context = await openContext(engine, { request, remote }, signal);
  const source = readBuildSource(request, context, engine.currentFolder);
  const bases = createBaseImages(engine, request);
  const findings = await checkDockerfile(source.text, await frontendOptions({ engine, request, source }), bases, signal);
  return { file: source.name, text: source.text, findings };
}

/** What the target takes from outside. Throws the first fault of what it needs. */
export async function outlineBuild(engine: Engine, request: BuildRequest, signal: AbortSignal): Promise<OutlineResult> {
  await using remote = lazyRemoteSources(engine, request);
  using context = await openContext(engine, { request, remote }, signal);
  const source = readBuildSource(request, context, engine.currentFolder);
  const bases = createBaseImages(engine, request);
  const outline = await outlineDockerfile(source.text, await frontendOptions({ engine, request, source }), bases, signal);
  return { text: source.text, outline };
}

/** The stages that `--target` can name. Throws the first fault of the Dockerfile. */
export async function listBuildTargets(engine: Engine, request: BuildRequest, signal: AbortSignal): Promise<TargetList> {
  await using remote = lazyRemoteSources(engine, request);
  using context = await openContext(engine, { request, remote }, signal);
  const source = readBuildSource(request, context, engine.currentFolder);
  return { file: source.name, text: source.text, targets: listTargets(source.text, source.name) };
}
