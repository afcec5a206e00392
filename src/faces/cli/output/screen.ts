/** Which of the ways to show progress is used, and what they have in common. */
import type { StepFollower } from '#engine/step-follower.ts';
import type { Report } from '#formats/progress/event.ts';
import { harmless } from './text.ts';
import type { Output, Surroundings } from '../command.ts';

/** `imageId`: undefined where no image was made. */
export type ShownImage = { readonly imageId: string | undefined; readonly names: readonly string[] };

/** What a build made, as its last lines say it. */
export type BuildEnd = ShownImage & {
  /** Of other targets; left out for none. */
  readonly others?: readonly ShownImage[];
  /** What is said of it after everything else. */
  readonly closing?: readonly string[];
};

/** The images that a build made, with a line for each name. */
export function shownImages(end: BuildEnd | undefined): readonly (ShownImage & { readonly imageId: string })[] {
  if (end === undefined) return [];
  return [end, ...(end.others ?? [])].flatMap(({ imageId, names }) => (imageId === undefined ? [] : [{ imageId, names }]));
}

/** Somewhere that progress is shown. Disposing leaves a clean screen whatever happened. */
export type Screen = Disposable & {
  readonly report: Report;
  /** The last lines; undefined when it failed. */
  finish(end: BuildEnd | undefined): void;
  /** Of a screen that shows the steps one after the other. */
  readonly steps?: StepFollower;
};

/** `classic`: as the builder before BuildKit, in the words of the Docker that most texts show; `classic-v25`: in those of Docker 25 and later. */
export const progressModes = ['auto', 'plain', 'tty', 'quiet', 'none', 'rawjson', 'classic', 'classic-v25'] as const;
export type ProgressMode = (typeof progressModes)[number];

/** A screen on stderr. `tty` asked for where there is no terminal is refused by the caller; `auto` takes what fits. */
export async function openScreen(mode: ProgressMode, around: Surroundings): Promise<Screen> {
  const { stderr } = around.streams;
  if (mode === 'quiet' || mode === 'none') return silentScreen((text) => void stderr.write(text));
  if (isClassicMode(mode)) {
    const { createClassicScreen } = await import('./classic.ts');
    const { stdout } = around.streams;
    return createClassicScreen((text) => void stdout.write(text), {
      now: around.now,
      colours: isTerminal(stdout, around.environment) && wantsColours(around.environment),
      isLater: mode === 'classic-v25',
      aside: (text) => void stderr.write(text),
    });
  }
  if (mode === 'tty' || (mode === 'auto' && isTerminal(stderr, around.environment))) {
    const { createTerminalScreen } = await import('./terminal.ts');
    const { readColours, readLogLines } = await import('./colours.ts');
    const { colours, faults } = readColours(around.environment);
    stderr.write(faults.map((fault) => `${harmless(fault, false)}\n`).join(''));
    return createTerminalScreen(stderr, { now: around.now, colours, logLines: readLogLines(around.environment) });
  }
  return await openLines(mode === 'rawjson' ? 'rawjson' : 'plain', (text) => void stderr.write(text), around.now);
}

/** Progress that nobody wants to see; what is urgent is written all the same. */
function silentScreen(write: (text: string) => void): Screen {
  return {
    report: (event) => {
      if (event.kind === 'note' && event.isUrgent === true) write(`${harmless(event.text, false)}\n`);
    },
    finish: () => {},
    [Symbol.dispose]: () => {},
  };
}

export function isClassicMode(mode: ProgressMode): mode is 'classic' | 'classic-v25' {
  return mode === 'classic' || mode === 'classic-v25';
}

/** A screen that writes whole lines and never goes back. */
export async function openLines(mode: 'plain' | 'rawjson', write: (text: string) => void, now: () => number): Promise<Screen> {
  if (mode === 'rawjson') {
    const { createRawJsonScreen } = await import('./raw-json.ts');
    return createRawJsonScreen(write, now);
  }
  const { createPlainScreen } = await import('./plain.ts');
  return createPlainScreen(write, now);
}

/** Can lines be redrawn here? */
export function isTerminal(output: Output, environment: NodeJS.ProcessEnv): boolean {
  return output.isTTY === true && environment['TERM'] !== 'dumb';
}

function wantsColours(environment: NodeJS.ProcessEnv): boolean {
  return (environment['NO_COLOR'] ?? '') === '';
}
