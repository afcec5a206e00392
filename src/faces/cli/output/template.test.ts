import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRows } from './rows.ts';
import { compileTemplate } from './template.ts';

const image = {
  Id: 'sha256:abc',
  RepoTags: ['a:1', 'b:2'],
  Config: { Env: ['A=1', 'B=<2>'], Labels: { z: '1', a: '2' }, Cmd: null, User: '' },
  Size: 12,
  Empty: [],
};

test('templates print fields as Go does', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['{{.Id}}', 'sha256:abc'],
    ['a {{ .Size }} b', 'a 12 b'],
    ['{{.RepoTags}}', '[a:1 b:2]'],
    ['{{.Config.Labels}}', 'map[a:2 z:1]'],
    ['{{json .Config.Env}}', '["A=1","B=\\u003c2\\u003e"]'],
    ['{{index .RepoTags 1}}', 'b:2'],
    ['{{index .Config.Labels "z"}}', '1'],
    ['{{(index .RepoTags 0) | upper}}', 'A:1'],
    ['{{len .RepoTags}}', '2'],
    ['{{join .RepoTags ", "}}', 'a:1, b:2'],
    ['{{range .Config.Env}}{{println .}}{{end}}', 'A=1\nB=<2>\n'],
    ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
    ['{{if .Config.User}}{{.Config.User}}{{else}}root{{end}}', 'root'],
    ['{{if eq .Size 12}}y{{end}}', 'y'],
    ['{{with .Config}}{{.User}}!{{end}}', '!'],
    ['{{.Config.Cmd}}', '<no value>'],
    ['x {{- .Size -}} y', 'x12y'],
    ['{{/* note */}}x', 'x'],
    ['{{"a}}b"}}', 'a}}b'],
    ['{{truncate .Id 6}}', 'sha256'],
    ['no action', 'no action'],
  ];
  for (const [source, printed] of cases) assert.equal(compileTemplate(source)(image), printed, source);
});

test('what a template gets wrong is said', () => {
  for (const source of [
    '{{',
    '{{.A',
    '{{range .X}}',
    '{{.Nope}}',
    '{{nope .Id}}',
    '{{$x}}',
    '{{index .RepoTags 5}}',
    '{{.Id .Size}}',
    '{{(.Id}}',
    '{{|}}',
    '{{.constructor}}',
  ]) {
    assert.throws(() => compileTemplate(source)(image), { code: 'cli/bad-template' }, source);
  }
});

test('rows come as a table, as JSON lines or through a template', () => {
  const format = { table: '{{.Name}}\t{{.Size}}\t{{.End}}', titles: { Name: 'NAME', Size: 'SIZE', End: 'END' } };
  const rows = [
    { Name: 'first one', Size: '1MB', End: 'x' },
    { Name: 'b', Size: '20.25MB and so on', End: '' },
  ];
  assert.equal(
    formatRows(rows, undefined, format),
    ['NAME        SIZE                END', 'first one   1MB                 x', 'b           20.25MB and so on   ', ''].join('\n'),
  );
  assert.equal(formatRows([], undefined, format), 'NAME      SIZE      END\n');
  assert.equal(formatRows(rows.slice(0, 1), 'table {{.End}}\\t{{.Name}}', format), 'END       NAME\nx         first one\n');
  assert.equal(formatRows(rows, 'json', format).split('\n')[0], '{"Name":"first one","Size":"1MB","End":"x"}');
  assert.equal(formatRows(rows, '{{.Name}}\\t{{.End}}', format), 'first one\tx\nb\t\n');
  assert.equal(formatRows([], '{{.Name}}', format), '');
  assert.throws(() => formatRows([], '{{.Nmae}}', format), { code: 'cli/bad-template', hint: 'There is .Name .Size .End' });
});
