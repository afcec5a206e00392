import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { readSecret } from './build-secret.ts';

test('a secret is a file or a variable', () => {
  const around = { environment: { TOKEN: 'value', tok: 'own' }, currentFolder: '/here' };
  const shown = (given: string): string => {
    const [id, request] = readSecret(given, around);
    return `${id} ${request.kind === 'file' ? request.path : new TextDecoder().decode(request.value)}`;
  };
  assert.equal(shown('id=a,src=f'), 'a /here/f');
  assert.equal(shown('id=a,source=/abs/f,type=file'), 'a /abs/f');
  assert.equal(shown('id=a,env=TOKEN'), 'a value');
  assert.equal(shown('type=env,id=a,src=TOKEN'), 'a value');
  assert.equal(shown('id=tok'), 'tok own');
  assert.equal(shown('id=tok,type=file'), 'tok /here/tok');
  assert.equal(shown('id=other'), 'other /here/other');
  assert.equal(shown('id=a,env=GONE'), 'a ');
  assert.equal(shown('type=env,id=tok'), 'tok own');
  assert.equal(shown('type=env,id=gone'), 'gone /here/gone');
  assert.equal(shown('id=a,"src=one, two"'), 'a /here/one, two');
  for (const [bad, why] of Object.entries({
    '': 'must be a key=value pair',
    a: 'invalid field "a" must be a key=value pair',
    'src=f': 'the secret has no ID',
    'id=a,what=x': 'unexpected key "what" in "what=x"',
    'id=a,sorce=x': 'did you mean "source"?',
    'id=a,type=blob': 'unsupported secret type "blob"',
    'id=a,src=f,env=TOKEN': 'a file or a variable, not both',
  }))
    assert.throws(
      () => shown(bad),
      (error) => isCode(error, 'cli/bad-value') && error.message.includes(why),
    );
});
