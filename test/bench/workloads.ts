/** The workloads: what each builds, and how a run of each variant comes about. Their sizes must not change: figures are compared over months. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeForest, writeForestTar, writeLogFile, writeRandomFile } from './content.ts';

/**
 * cold: cache empty, base images present and unpacked. warm: built before, nothing changed. edit: built before, one file changed.
 * copy: the stage that makes the files is cached, the final stage is not. push: to an empty registry; zstd: the same with zstd. pull: no layer present.
 */
export type Variant = 'cold' | 'warm' | 'edit' | 'copy' | 'push' | 'zstd' | 'pull';

export type Base = 'busybox' | 'debian-gcc' | 'large';

export type Goal = {
  readonly variant: Variant;
  /** Seconds, at most. */
  readonly seconds: number;
  readonly text: string;
};

export type Workload = {
  readonly name: string;
  readonly title: string;
  readonly bases: readonly Base[];
  readonly variants: readonly Variant[];
  readonly goals: readonly Goal[];
  /** Writes the context into an empty folder; `image` gives a base image's name. */
  make(folder: string, image: (base: Base) => string): void;
  /** Changes the context so that exactly one thing must be built again; `salt` differs each time. */
  readonly edit?: (folder: string, salt: string, image: (base: Base) => string) => void;
};

/** Bytes that the process trees of one run may hold at most, in any workload. */
export const memoryGoal = 200e6;

const mainSource = `#include <stdio.h>
#include <string.h>
#include "words.h"

int main(int argc, char **argv) {
  char line[4096], out[8192];
  unsigned long sum = 0;
  const char *from = argc > 2 ? argv[1] : "count", *to = argc > 2 ? argv[2] : "launch";
  while (fgets(line, sizeof line, stdin)) {
    size_t length = substitute(out, sizeof out, line, from, to);
    sum ^= checksum((const unsigned char *)out, length);
    fputs(out, stdout);
  }
  fprintf(stderr, "%08lx\\n", sum);
  return 0;
}
`;

const wordsHeader = `#include <stddef.h>
unsigned long checksum(const unsigned char *bytes, size_t length);
size_t substitute(char *out, size_t room, const char *in, const char *from, const char *to);
`;

const wordsSource = (salt: string): string => `#include <string.h>
#include "words.h"

static const char salt[] = "${salt}";

unsigned long checksum(const unsigned char *bytes, size_t length) {
  unsigned long low = (unsigned char)salt[0], high = 0;
  for (size_t i = 0; i < length; i++) { low = (low + bytes[i]) % 65521; high = (high + low) % 65521; }
  return high << 16 | low;
}

size_t substitute(char *out, size_t room, const char *in, const char *from, const char *to) {
  size_t old = strlen(from), new = strlen(to), used = 0;
  while (*in && used + 1 < room) {
    if (old && !strncmp(in, from, old) && used + new + 1 < room) { memcpy(out + used, to, new); used += new; in += old; }
    else out[used++] = *in++;
  }
  out[used] = 0;
  return used;
}
`;

const compile: Workload = {
  name: 'W1',
  title: 'two C files compiled with gcc, COPY --from into busybox, an unused stage',
  bases: ['busybox', 'debian-gcc'],
  variants: ['cold', 'warm', 'edit'],
  goals: [],
  make(folder, image) {
    writeFiles(folder, {
      'main.c': mainSource,
      'words.h': wordsHeader,
      'words.c': wordsSource('0'),
      Dockerfile: `FROM ${image('debian-gcc')} AS build
WORKDIR /src
COPY main.c words.c words.h ./
RUN gcc -O2 -c main.c && gcc -O2 -c words.c && gcc -static -o app main.o words.o

FROM ${image('debian-gcc')} AS unused
RUN sleep 5 && echo must not run > /unused

FROM ${image('busybox')}
COPY --from=build /src/app /usr/bin/app
CMD ["/usr/bin/app"]
`,
    });
  },
  edit: (folder, salt) => writeFiles(folder, { 'words.c': wordsSource(salt) }),
};

const diamond: Workload = {
  name: 'W2',
  title: 'a diamond: two stages of `sleep 2` side by side, then their union',
  bases: ['busybox'],
  variants: ['cold', 'warm'],
  goals: [{ variant: 'cold', seconds: 2.2, text: 'W2 at most 2.2 s' }],
  make(folder, image) {
    writeFiles(folder, {
      Dockerfile: `FROM ${image('busybox')} AS base
RUN echo base > /base
FROM base AS left
RUN sleep 2 && echo left > /left
FROM base AS right
RUN sleep 2 && echo right > /right
FROM base AS both
COPY --from=left /left /left
COPY --from=right /right /right
FROM ${image('busybox')}
COPY --from=both /left /right /out/
RUN cat /out/left /out/right > /all
`,
    });
  },
};

const steps: Workload = {
  name: 'W3',
  title: '100 RUN steps, each writes one small file',
  bases: ['busybox'],
  variants: ['cold', 'warm'],
  goals: [{ variant: 'cold', seconds: 2, text: 'a RUN step that writes one file at most 20 ms, over 100 steps' }],
  make(folder, image) {
    writeFiles(folder, { Dockerfile: `FROM ${image('busybox')}\n${lines(100, (i) => `RUN echo ${i} > /f${i}`)}` });
  },
};

const contextFiles: Workload = {
  name: 'W4',
  title: 'COPY of 20,000 files, 205 MB, from the context',
  bases: ['busybox'],
  variants: ['cold', 'warm', 'edit'],
  goals: [],
  make(folder, image) {
    writeForest(join(folder, 'tree'), { seed: 'w4', folders: 200, files: 100, size: 10_240 });
    writeFiles(folder, { Dockerfile: `FROM ${image('busybox')}\nCOPY tree /app\n` });
  },
  edit: (folder, salt) => writeFiles(folder, { 'tree/p0100/lib/sub/f0050.js': `// ${salt}\n` }),
};

const bigFile: Workload = {
  name: 'W5a',
  title: 'COPY of one file of 1 GiB that does not shrink',
  bases: ['busybox'],
  variants: ['cold', 'push'],
  goals: [],
  make(folder, image) {
    writeRandomFile(join(folder, 'big.bin'), 1 << 30, 'w5a');
    writeFiles(folder, { Dockerfile: `FROM ${image('busybox')}\nCOPY big.bin /big.bin\n` });
  },
};

const logFile: Workload = {
  name: 'W5b',
  title: 'COPY of one file of 1 GiB of logs; pushed with gzip, and with zstd where the builder can',
  bases: ['busybox'],
  variants: ['cold', 'push', 'zstd'],
  goals: [],
  make(folder, image) {
    writeLogFile(join(folder, 'log'), 1 << 30, 'w5b');
    writeFiles(folder, { Dockerfile: `FROM ${image('busybox')}\nCOPY log /log\n` });
  },
};

const stageFiles: Workload = {
  name: 'W6',
  title: 'COPY --from of 40,000 files, 123 MB, out of a cached stage: that step alone',
  bases: ['busybox'],
  variants: ['copy'],
  goals: [{ variant: 'copy', seconds: 2, text: 'W6 at most 2 s' }],
  make(folder, image) {
    writeForestTar(join(folder, 'tree.tar'), { seed: 'w6', folders: 800, files: 50, size: 3072 });
    copyTo(folder, '0', image);
  },
  // A new place to copy to: the step has to run again, and nothing needs to be deleted for it.
  edit: copyTo,
};

function copyTo(folder: string, salt: string, image: (base: Base) => string): void {
  writeFiles(folder, {
    Dockerfile: `FROM ${image('busybox')} AS source
ADD tree.tar /work/node_modules/
FROM ${image('busybox')}
COPY --from=source /work/node_modules /app-${salt}/node_modules
`,
  });
}

const twentySteps: Workload = {
  name: 'W7',
  title: '20 steps in 3 stages',
  bases: ['busybox'],
  variants: ['warm', 'edit'],
  goals: [{ variant: 'warm', seconds: 0.1, text: 'no-op rebuild of W7 at most 100 ms' }],
  make(folder, image) {
    mkdirSync(join(folder, 'src'));
    for (const i of [1, 2, 3, 4, 5]) writeFiles(folder, { [`src/f${i}`]: `file ${i}\n` });
    writeFiles(folder, {
      'package.json': '{}\n',
      Dockerfile: `FROM ${image('busybox')} AS deps
WORKDIR /app
COPY package.json .
RUN echo install > deps.txt
RUN mkdir node_modules && echo m > node_modules/m
ENV NODE_ENV=production
RUN echo audit > audit.txt
FROM ${image('busybox')} AS build
WORKDIR /app
COPY --from=deps /app/node_modules node_modules
COPY src src
RUN cat src/* > bundle.js
RUN echo lint > lint.txt
RUN echo test > test.txt
FROM ${image('busybox')}
ARG VERSION=1
LABEL version=$VERSION
WORKDIR /srv
COPY --from=deps /app/deps.txt .
COPY --from=build /app/bundle.js .
RUN chmod 755 bundle.js
EXPOSE 80
USER nobody
CMD ["cat", "bundle.js"]
`,
    });
  },
  edit: (folder, salt) => writeFiles(folder, { 'src/f3': `${salt}\n` }),
};

const bigPull: Workload = {
  name: 'W8',
  title: 'pull of an image of some 320 MB compressed in 4 layers',
  bases: ['large'],
  variants: ['pull'],
  goals: [],
  make: () => {},
};

/** RUN steps, at most 50 a stage: overlay2 in dockerd ends at about 125 layers. */
function cachedSteps(count: number): Workload {
  return {
    name: `W9s${count}`,
    title: `no-op rebuild of ${count} cached steps`,
    bases: ['busybox'],
    variants: ['warm'],
    goals: [],
    make(folder, image) {
      const stages = Array.from({ length: Math.ceil(count / 50) }, (_, stage) => stage);
      const stage = (index: number): string =>
        `FROM ${image('busybox')} AS s${index}\n${lines(Math.min(50, count - index * 50), (i) => `RUN echo ${index}.${i} > /f${i}`)}`;
      const final = lines(stages.length, (i) => `COPY --from=s${i} /f0 /s${i}`);
      writeFiles(folder, { Dockerfile: `${stages.map(stage).join('')}FROM ${image('busybox')}\n${final}` });
    },
  };
}

function cachedContext(thousands: number): Workload {
  return {
    name: `W9f${thousands}k`,
    title: `no-op rebuild with a context of ${thousands},000 files of 1 KiB`,
    bases: ['busybox'],
    variants: ['warm'],
    goals: [],
    make(folder, image) {
      writeForest(join(folder, 'tree'), { seed: 'w9f', folders: thousands * 10, files: 100, size: 1024 });
      writeFiles(folder, { Dockerfile: `FROM ${image('busybox')}\nCOPY tree /app\n` });
    },
  };
}

export const workloads: readonly Workload[] = [
  compile,
  diamond,
  steps,
  contextFiles,
  bigFile,
  logFile,
  stageFiles,
  twentySteps,
  bigPull,
  ...[10, 100, 400].map(cachedSteps),
  ...[1, 10, 100].map(cachedContext),
];

/** What runs when none is named: the ones that have goals, and the first. */
export const usualWorkloads: readonly string[] = ['W1', 'W2', 'W3', 'W6', 'W7'];

function lines(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => `${line(index)}\n`).join('');
}

/** Writes only what changes, so that other files keep their times. */
function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    if (readText(path) !== text) writeFileSync(path, text);
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
