/** The single changes of build-why.test.ts in stores that know nothing but a cache elsewhere: the same steps run, and the same cause is named. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadImages } from '#engine/load.ts';
import { openEngine, type Engine } from '#engine/open.ts';
import type { CacheForm, CacheSource, CacheTarget } from '#engine/cache-requests.ts';
import { saveImages } from '#engine/save.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { startDockerRegistry, type DockerRegistry } from '#test/kit/docker-registry.ts';
import { removeWithStore } from '#test/kit/remove-store.ts';
import { baseProject, mutationsOf, type Mutation, type Project } from '#test/kit/why-project.ts';
import { buildImage, buildProject, checkMutation, randomFrom } from '#test/kit/why-world.ts';

const never = new AbortController().signal;
const quiet = (): undefined => undefined;
/** 10 rounds are 500 changes; without a number one change of each kind is made, of every `share`th kind. */
const rounds = Number(process.env['WHY_ELSEWHERE_ROUNDS'] ?? 0);

const form: CacheForm = { mode: 'max', imageManifest: true, ociTypes: true, compression: 'tar', isTelling: true, ignoreError: false };
type Place = { readonly target: CacheTarget; readonly source: CacheSource; readonly downloads: () => Promise<number> };

async function withStore<T>(folder: string, name: string, work: (engine: Engine) => Promise<T>): Promise<T> {
  const store = join(folder, name, 'store');
  mkdirSync(store, { recursive: true });
  try {
    await using engine = await openEngine({
      environment: { ...process.env, JETTISON_STORE: store, JETTISON_CONFIG: join(folder, 'none') },
      currentFolder: folder,
    });
    return await work(engine);
  } finally {
    removeWithStore(join(folder, name), store);
  }
}

/** Builds the project once and leaves its cache at the place, and its base images in an archive. */
async function exportProject(folder: string, project: Project, { target }: Place): Promise<string> {
  const archive = join(folder, 'images.tar');
  await withStore(folder, 'first', async (engine) => {
    const world = { engine, folder };
    rmSync(join(folder, 'tools'), { recursive: true, force: true });
    await buildImage(world, 'tools', makeBusyboxRoot);
    await buildImage(world, 'base', (path) => writeFileSync(join(path, 'base.txt'), project.base));
    const destination = { kind: 'file', path: archive } as const;
    await saveImages(engine, { names: ['tools', 'base'], format: 'docker', destination }, quiet, never);
    await buildProject(world, project, { cacheTo: [target] });
  });
  return archive;
}

async function inEmptyStore(
  folder: string,
  {
    archive,
    source,
    mutation,
  }: { readonly archive: string; readonly source: CacheSource; readonly mutation: Mutation & { readonly isOtherBase: boolean } },
): Promise<void> {
  await withStore(folder, 'empty', async (engine) => {
    await loadImages(engine, { source: { kind: 'file', path: archive } }, quiet, never);
    const world = { engine, folder, elsewhere: source };
    if (mutation.isOtherBase) {
      await buildImage({ engine, folder }, 'base', (path) => writeFileSync(join(path, 'base.txt'), mutation.project.base));
    }
    await checkMutation(world, mutation);
  });
}

/** In a store that only has the cache nothing was removed. */
function changesOf(project: Project, round: number, share: number): readonly Mutation[] {
  let last = 100 + round * 1000;
  const all = mutationsOf(project, randomFrom(20_261_122 + round), () => ++last).filter(({ evict }) => evict === undefined);
  return rounds > 0
    ? all
    : [...new Map(all.map((mutation) => [mutation.name, mutation])).values()].filter((_, index) => index % share === 0);
}

async function tryPlace(place: (folder: string) => Place, share: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-why-elsewhere-'));
  const names = new Set<string>();
  let count = 0;
  try {
    const at = place(folder);
    for (let round = 0; round < Math.max(1, rounds); round++) {
      const project = baseProject(round);
      const archive = await exportProject(folder, project, at);
      for (const mutation of changesOf(project, round, share)) {
        const before = await at.downloads();
        const isOtherBase = mutation.project.base !== project.base;
        await inEmptyStore(folder, { archive, source: at.source, mutation: { ...mutation, isOtherBase } });
        if (mutation.name === 'touch') assert.equal((await at.downloads()) - before, 0, 'what nobody asked for was downloaded');
        names.add(mutation.name);
        count++;
      }
    }
  } finally {
    removeWithStore(folder, join(folder, 'none'));
  }
  console.log(`${count} changes of ${names.size} kinds`);
  assert.ok(names.size >= 12 / share && (rounds < 10 || count >= 500), `${count} changes of ${names.size} kinds`);
}

/** How often it was downloaded what the cache tells of its steps. */
async function memoriesRead(registry: DockerRegistry): Promise<number> {
  const response = await fetch(`http://${registry.host}/v2/app/manifests/cache`, {
    headers: { Accept: 'application/vnd.oci.image.manifest.v1+json' },
  });
  const { layers } = (await response.json()) as { readonly layers: readonly { readonly mediaType: string; readonly digest: string }[] };
  const digest = layers.find(({ mediaType }) => mediaType.includes('jettison'))?.digest;
  assert.ok(digest !== undefined);
  return registry.accesses().filter((line) => line.startsWith('"GET ') && line.includes(digest)).length;
}

test('empty stores and a cache in a registry: the right steps run, and the cause is named', async () => {
  await using registry = await startDockerRegistry();
  const reference = `${registry.host}/app:cache`;
  await tryPlace(
    () => ({
      target: { kind: 'registry', reference, ...form },
      source: { kind: 'registry', reference },
      downloads: async () => await memoriesRead(registry),
    }),
    1,
  );
});

test('empty stores and a cache in a folder: the right steps run, and the cause is named', async () => {
  await tryPlace((folder) => {
    const path = join(folder, 'cache');
    return {
      target: { kind: 'folder', path, tag: 'latest', ...form },
      source: { kind: 'folder', path, tag: 'latest', digest: undefined },
      downloads: async () => await Promise.resolve(0),
    };
  }, 3);
});
