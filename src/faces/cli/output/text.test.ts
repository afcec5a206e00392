import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutToWidth, forReader, harmless, textWidth } from './text.ts';

test('nothing but text, tabs and colours of a step reaches a terminal', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['plain\ttext é 漢', 'plain\ttext é 漢'],
    ['\u001b[31mred\u001b[0m', '\u001b[31mred\u001b[0m\u001b[0m'],
    ['\u001b[38:2::1:2:3mx', '\u001b[38:2::1:2:3mx\u001b[0m'],
    ['\u001b[2J\u001b[1;1Hgone', 'gone'],
    ['\u001b]0;title\u0007a\u001b]8;;http://x\u001b\\b\u001b]52;c;AAAA\u001b\\c', 'abc'],
    ['\u001bP1$r0m\u001b\\x\u001b_y\u001b\\z', 'xz'],
    ['\u001b]0;never closed', ''],
    ['\u009b2Jx\u009d0;t\u009cy', 'xy'],
    ['\u001bc\u001b(0\u001b7\u001b#8q', 'q'],
    ['a\u0000b\u0007c\u0008d\u007fe\u0085f', 'abcdef'],
    ['10%\r50%\r100%\r', '100%'],
    ['done\r', 'done'],
    ['\u001b', ''],
    ['\u001b[', ''],
    ['\u001b\u001b[2Jx', 'x'],
    ['\u001b[3\u001b[2Jx', 'x'],
  ];
  for (const [raw, shown] of cases) assert.equal(harmless(raw, true), shown, JSON.stringify(raw));
  assert.equal(harmless('\u001b[31mred\u001b[0m', false), 'red');
});

test('no combination of escape pieces gets through', () => {
  const pieces = ['\u001b', '[', ']', 'P', '\\', '\u0007', '\u009b', '\u009d', '2J', 'm', '1;', '\r', 'x', '\u0018'];
  let seed = 7;
  const next = (): string => pieces[(seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % pieces.length] ?? '';
  for (let count = 0; count < 5000; count++) {
    const raw = Array.from({ length: 12 }, next).join('');
    const shown = harmless(raw, true);
    assert.match(shown, /^(?:[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]|\u001b\[[0-9;:]*m)*$/u, JSON.stringify(raw));
  }
});

test('lines are cut by the columns they take', () => {
  assert.equal(textWidth('ab漢字'), 6);
  assert.equal(textWidth('e\u0301🚀'), 3);
  assert.equal(cutToWidth('abcdef', 6), 'abcdef');
  assert.equal(cutToWidth('abcdefg', 6), 'abcde…');
  assert.equal(cutToWidth('漢字漢字', 6), '漢字…');
  assert.equal(cutToWidth('abc', 0), '');
});

test('what a template shows: as it is for programs, without anything but colours for terminals', () => {
  const hostile = 'a\u001b]0;title\u0007b\n\u001b[31mred\u001b[2Jc';
  assert.equal(forReader({}, hostile), hostile);
  assert.equal(forReader({ isTTY: true }, hostile), 'ab\n\u001b[31mredc\u001b[0m');
});
