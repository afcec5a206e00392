import { updateContainer } from '#engine/update-container.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { parsed } from '../option.ts';
import { containerLimitOptions, readUpdate } from './container-limits.ts';
import { readRestart } from './container-options.ts';
import { forEachContainer } from './each-container.ts';
import type { RestartPolicy } from '#engine/container-requests.ts';

const { cgroupParent: _, ulimits: _ulimits, oomScore: _score, memorySwappiness: _swappiness, ...limitOptions } = containerLimitOptions;

export const updateCommand = defineCommand({
  name: 'update',
  summary: 'Update configuration of one or more containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  options: {
    ...limitOptions,
    restart: parsed<RestartPolicy | undefined>(
      'restart',
      { initial: undefined, help: 'Restart policy to apply when a container exits' },
      readRestart,
    ),
  },
  notBuilt: `blkio-weight-device cpu-rt-period cpu-rt-runtime device-read-bps device-read-iops device-write-bps device-write-iops kernel-memory`,
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    const { restart, ...given } = options;
    if (Object.values(options).every((value) => value === undefined || value === 0))
      throw new JettisonError('cli/usage', 'you must provide one or more flags when using this command', {
        hint: "'jettison update --help' lists them",
      });
    const request = { ...readUpdate(given), restart };
    return await forEachContainer(names, around, async (engine, container) => await updateContainer(engine, container, request, signal));
  },
});
