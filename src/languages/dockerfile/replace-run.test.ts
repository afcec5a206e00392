import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDockerfile } from './parse.ts';
import { replaceRun } from './replace-run.ts';

const text = `FROM a
RUN --mount=type=cache,target=/c \\
    --network=none make \\
    all
RUN <<EOF
one
EOF
RUN ["x"]`;

test('a RUN gets another command and keeps its flags and its neighbours', () => {
  assert.deepEqual(replaceRun(text, 2, ' make test\n'), {
    text: text.replace(
      '--mount=type=cache,target=/c \\\n    --network=none make \\\n    all',
      '--mount=type=cache,target=/c --network=none make test',
    ),
    written: 'RUN --mount=type=cache,target=/c --network=none make test',
  });
  assert.equal(replaceRun(text, 5, 'two')?.text, text.replace('<<EOF\none\nEOF', 'two'));
  assert.equal(replaceRun(text, 8, 'y')?.text, text.replace('["x"]', 'y'));
  assert.equal(replaceRun(text, 1, 'y'), undefined);
  assert.equal(replaceRun(text, 3, 'y'), undefined);
});

test('what one line cannot say becomes a here-document, whatever is in it', () => {
  for (const command of [
    'a\nb',
    'cat <<X\nEOF\nX',
    '["no", "json"]',
    '--mount=x',
    '# note',
    'echo \\',
    'a\\\nb',
    'echo $HOME\n\nEOF\nEOF_',
  ]) {
    const replaced = replaceRun(text, 2, command)?.text ?? '';
    const { dockerfile, diagnostics } = parseDockerfile(replaced, 'Dockerfile');
    assert.deepEqual(
      diagnostics.filter(({ severity }) => severity === 'error'),
      [],
      command,
    );
    const instructions = dockerfile.stages.flatMap((stage) => stage.instructions);
    assert.equal(instructions.length, 3, command);
    assert.deepEqual(
      instructions[0]?.heredocs.map(({ content, expand }) => [content, expand]),
      [[`${command}\n`, false]],
      command,
    );
  }
});
