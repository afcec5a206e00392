import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyDockerfile } from '#test/kit/dockerfiles.ts';
import type { Dockerfile } from './ast.ts';
import { parseDockerfile } from './parse.ts';
import { printDockerfile } from './print.ts';
import { randomRuns } from '#test/kit/random.ts';

const fixtures = join(import.meta.dirname, '../../../test/fixtures/dockerfile');

/** The tree without places, and without the text that only says how it was written. */
function meaningOf(dockerfile: Dockerfile): unknown {
  return JSON.parse(
    JSON.stringify(dockerfile, (key, value: unknown) => {
      if (key === 'emptyContinuation') return value !== undefined;
      return key === 'span' || key.endsWith('Span') || key === 'source' ? undefined : value;
    }),
  );
}

function checkRoundTrip(text: string): void {
  const { dockerfile, diagnostics } = parseDockerfile(text, 'Dockerfile');
  assert.deepEqual(diagnostics, [], text);
  const printed = printDockerfile(dockerfile);
  const again = parseDockerfile(printed, 'Dockerfile');
  assert.deepEqual(again.diagnostics, [], printed);
  assert.deepEqual(meaningOf(again.dockerfile), meaningOf(dockerfile), printed);
  assert.equal(printDockerfile(again.dockerfile), printed);
}

test('prints one form', () => {
  const text = `# syntax=docker/dockerfile:1
# escape=\`
# V is the version
arg V=1
from  --platform=$BUILDPLATFORM   gcc:$V as build
# by itself

copy --chmod=755   ["a b", "/x/"]
copy ["a", "/x/"]
RUN --mount="type=cache,target=/a b" \`
# inside
  make \`
  all
run <<-A cat <<B
	a
	A
b
B
ENV A=1   B="2 3"
ENV old  form
HEALTHCHECK --interval=3s CMD ["true"]
ONBUILD RUN  echo \\
FROM build
CMD
# the end
`;
  assert.equal(
    printDockerfile(parseDockerfile(text, 'Dockerfile').dockerfile),
    `# syntax=docker/dockerfile:1
# escape=\`

# V is the version
arg V=1

from --platform=$BUILDPLATFORM gcc:$V as build
# by itself

copy --chmod=755 ["a b", "/x/"]
copy a /x/
RUN \`
# inside
--mount=type=cache,target=/a\\ b make   all
run <<-A cat <<B
	a
A
b
B
ENV A=1 B="2 3"
ENV old form
HEALTHCHECK --interval=3s CMD ["true"]
ONBUILD RUN  echo \\

FROM build
CMD

# the end
`,
  );
});

test('what is printed is read as the same tree: fixtures', () => {
  for (const name of readdirSync(fixtures)) {
    const text = readFileSync(join(fixtures, name, 'Dockerfile'), 'utf8');
    if (parseDockerfile(text, 'Dockerfile').diagnostics.length === 0) checkRoundTrip(text);
  }
});

test('what is printed is read as the same tree: texts that are hard to print', () => {
  const cases = [
    '\\\n#y\nFROM b',
    '# x\n#\n\\\n#y\nFROM b',
    '# x\n\\\n#y\nFROM b',
    'FROM b\nVOLUME \ufeff\u2028 @',
    'FROM a\nCOPY ["[\\"a\\",", "\\"b\\"]"]',
    'FROM a\nCOPY ["<<A", "/x"]\nCOPY ["--a", "b"]\nCOPY ["a", "b\\\\"]\nVOLUME [",", ","]',
    'FROM a\nRUN a\\ \\\n\v',
    'FROM a\nRUN a\\\f\nUSER b',
    'FROM a\nRUN -- --x\nWORKDIR -- --y',
    'FROM a\nCMD \\\n# c\n',
    'FROM a\nCMD \\\n# c\n\n',
    '\n# escape=`\nFROM a',
    '# words\n# check=skip=all\nFROM a',
    'FROM a\nRUN --mount=target=\\${x <<A\nA\n',
    'FROM a\nONBUILD COPY <<A <<B /x\na\nA\nB\n',
    'FROM a\ncopy \ud800 <<',
    'FROM a\ncopy \ud800 `',
    'FROM a\n#c\n\\\n# d\nRUN x',
    'FROM a\nLABEL a b\\\f\nUSER c',
    'FROM a\nCOPY << A /x\nb\nA',
    'FROM a\nLABEL \\\t = T',
    'FROM a\nVOLUME ["x"]\ufeff',
    'FROM a\nVOLUME \\\n\n["#"]',
    'FROM a\nRUN # \\\n# c\n  x',
  ];
  for (const text of cases) checkRoundTrip(text);
});

test('what is printed is read as the same tree: any Dockerfile', () => {
  fc.assert(fc.property(anyDockerfile, checkRoundTrip), randomRuns(300));
});
