/** Single changes to a project: exactly the right steps run again, and the one thing that changed is named each time. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openEngine } from '#engine/open.ts';
import type { BuildOutcome } from '#engine/build-requests.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { removeWithStore } from '#test/kit/remove-store.ts';
import { baseProject, mutationsOf, stepName, type Mutation } from '#test/kit/why-project.ts';
import { buildImage, buildProject, checkMutation, randomFrom, ranIn, type World } from '#test/kit/why-world.ts';

/** Each round makes one mutation of each kind over a project of its own. */
const rounds = Number(process.env['WHY_ROUNDS'] ?? 10);
/** The project as it was is built again after so many mutations: it must be among the builds that are compared. */
const betweenBaselines = 8;

async function evict(world: World, baseline: BuildOutcome, { step, rule }: NonNullable<Mutation['evict']>): Promise<void> {
  const { steps } = (await world.engine.builds()).get(baseline.id);
  const key = steps.find((one) => stepName(one.stage, one.text) === step)?.key;
  const record = key === undefined ? undefined : world.engine.records.find(key);
  assert.ok(record !== undefined);
  world.engine.records.forget(record.resultId, { at: Date.now(), rule });
}

test('500 single changes: exactly the right steps run again, and the cause is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-why-'));
  const store = join(folder, 'store');
  let count = 0;
  const names = new Set<string>();
  try {
    await using engine = await openEngine({
      environment: { ...process.env, JETTISON_STORE: store, JETTISON_CONFIG: join(folder, 'none') },
      currentFolder: folder,
    });
    const world = { engine, folder };
    await buildImage(world, 'tools', makeBusyboxRoot);
    const random = randomFrom(20_261_122);
    let last = 100;
    const unique = (): number => ++last;
    for (let round = 0; round < rounds; round++) {
      const project = baseProject(round);
      let base = '';
      const useBase = async (text: string): Promise<void> => {
        if (base !== text) await buildImage(world, 'base', (path) => writeFileSync(join(path, 'base.txt'), text));
        base = text;
      };
      await useBase(project.base);
      let baseline = await buildProject(world, project);
      for (const mutation of mutationsOf(project, random, unique)) {
        if (count % betweenBaselines === 0 || mutation.evict !== undefined) {
          await useBase(project.base);
          baseline = await buildProject(world, project);
          assert.deepEqual(await ranIn(world, baseline), [], `baseline before ${mutation.name}: ${JSON.stringify(baseline.why)}`);
        }
        if (mutation.evict !== undefined) await evict(world, baseline, mutation.evict);
        await useBase(mutation.project.base);
        await checkMutation(world, mutation);
        names.add(mutation.name);
        count++;
      }
    }
    const kept = JSON.stringify((await engine.builds()).list().map(({ id }) => id));
    assert.ok(kept.length > 0);
  } finally {
    removeWithStore(folder, store);
  }
  assert.ok(rounds < 10 || (count >= 500 && names.size >= 12), `${count} changes of ${names.size} kinds`);
});
