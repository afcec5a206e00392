/** `buildx create`, `rm`, `stop`: builders have names here, and all names mean this program. */
import {
  builderNames,
  checkBuilder,
  createBuilder,
  defaultBuilder,
  platformsNotHere,
  removeBuilder,
  selectBuilder,
} from '#engine/builders.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { badValue, flag, list, text } from '../option.ts';
import { forEachName } from './for-each-name.ts';

const elsewhere =
  'Run jettison on that machine, over SSH or as a pod, and share what is built by a registry cache ("--cache-to", "--cache-from")';

export const createBuilderCommand = defineCommand({
  name: 'buildx create',
  summary: 'Give the builder one more name',
  usage: '[OPTIONS]',
  options: {
    append: flag('append', { help: 'Add this machine to a builder, which it is in already: always an error, as with docker' }),
    bootstrap: flag('bootstrap', { help: 'Make it ready (it always is)' }),
    driver: text('driver', { help: '"docker-container": a builder of this machine, which it is without a container' }),
    driverOptions: list('driver-opt', { value: 'stringArray', help: '"network=host", "default-load=true": what is so anyway' }),
    flags: text('buildkitd-flags', { help: '"--allow-insecure-entitlement ...": builds ask by "--allow"' }),
    name: text('name', { help: 'Its name (default: one that is free)' }),
    platforms: list('platform', { value: 'stringArray', help: 'What will be built; says which of these need an emulator' }),
    use: flag('use', { help: 'Use it from now on' }),
  },
  notBuilt: 'buildkitd-config leave node',
  arguments: [0, 1],
  async run({ options, arguments: [endpoint] }, around) {
    const { stdout, stderr } = around.streams;
    if (endpoint !== undefined && endpoint !== defaultBuilder) throw refuseEndpoint(endpoint);
    checkDriver(options.driver);
    if (options.append) throw refuseAppend(options.name, around.environment);
    for (const given of options.driverOptions.flatMap((one) => one.split(','))) checkDriverOption(given);
    checkFlags(options.flags ?? '');
    const missing = platformsNotHere(options.platforms.flatMap((one) => one.split(',')).map((one) => one.trim()));
    const name = createBuilder(options.name, around.environment);
    if (options.use) selectBuilder(name, around.environment);
    for (const one of missing) {
      stderr.write(`WARNING: programs of ${one} cannot run here: "jettison doctor" says how to install an emulator\n`);
    }
    stdout.write(`${name}\n`);
    return await Promise.resolve(0);
  },
});

function refuseEndpoint(endpoint: string): JettisonError {
  return new JettisonError('cli/not-built', `A builder at "${endpoint}" is not part of jettison: it builds on this machine only`, {
    hint: elsewhere,
  });
}

/** What is added has to be another machine, by docker's own rule. */
function refuseAppend(name: string | undefined, environment: Surroundings['environment']): JettisonError {
  if (name === undefined || name === '')
    return new JettisonError('cli/usage', 'append requires a builder name', { hint: 'Name it with "--name"' });
  if (name !== defaultBuilder && !builderNames(environment).names.includes(name))
    return new JettisonError('cli/usage', `failed to find instance "${name}" for append`, {
      hint: `Leave "--append" out to make it; "jettison buildx ls" lists those there are`,
    });
  return new JettisonError('cli/not-built', `invalid duplicate endpoint ${defaultBuilder}: "${name}" is this machine already`, {
    hint: elsewhere,
  });
}

function checkDriver(driver: string | undefined): void {
  switch (driver) {
    case undefined:
    case '':
    case 'docker-container':
      return;
    case 'docker':
      throw new JettisonError('cli/bad-value', 'additional instances of driver "docker" cannot be created', {
        hint: 'Leave "--driver" out',
      });
    case 'kubernetes':
    case 'remote':
    case 'cloud':
      throw new JettisonError('cli/not-built', `The driver "${driver}" means other machines, which jettison does not build on`, {
        hint: elsewhere,
      });
    default:
      throw new JettisonError('cli/bad-value', `failed to find driver "${driver}"`, { hint: 'There is "docker-container"' });
  }
}

function checkDriverOption(given: string): void {
  if (given === 'network=host' || given === 'default-load=true') return;
  if (given.startsWith('image='))
    throw new JettisonError('cli/not-built', `"--driver-opt ${given}": no image of BuildKit is run`, {
      hint: 'Leave it out: jettison is the builder',
    });
  const hint = 'There is "network=host" and "default-load=true"; limits and variables are given to each build';
  throw new JettisonError('cli/not-built', `"--driver-opt ${given}" is not built`, { hint });
}

const allowed = /^(?:\s*--allow-insecure-entitlement[ =](?:security\.insecure|network\.host))*\s*$/u;

function checkFlags(flags: string): void {
  if (!allowed.test(flags))
    throw badValue('buildkitd-flags', flags, 'there is no such daemon; only "--allow-insecure-entitlement ..." is taken');
}

export const removeBuilderCommand = defineCommand({
  name: 'buildx rm',
  summary: 'Take names from the builder',
  usage: '[OPTIONS] [NAME...]',
  options: {
    allInactive: flag('all-inactive', { help: 'Remove all that do not run: none, as what all names mean always does' }),
    force: flag('force', { short: 'f', help: 'Do not ask (nothing is asked)' }),
    keepState: flag('keep-state', { help: 'Keep the cache, which always stays: it is that of all names' }),
  },
  notBuilt: 'builder keep-daemon',
  arguments: [0, Infinity],
  run: async ({ options, arguments: names }, around) =>
    await forEachName(
      names.length > 0 || options.allInactive ? names : [builderNames(around.environment).current],
      around.streams,
      async (name) => {
        removeBuilder(name, around.environment);
        around.streams.stdout.write(`${name} removed\n`);
        await Promise.resolve();
      },
    ),
});

export const stopBuilderCommand = defineCommand({
  name: 'buildx stop',
  summary: 'Stop the builder (it runs only while it builds)',
  usage: '[NAME]',
  options: {},
  notBuilt: 'builder',
  arguments: [0, 1],
  async run({ arguments: [name = defaultBuilder] }, around) {
    checkBuilder(name, around.environment);
    return await Promise.resolve(0);
  },
});
