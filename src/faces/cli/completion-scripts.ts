/** Scripts by which shells ask jettison what may stand at the cursor. They know no command: `complete.ts` does, by the tables. */
import { filesLine } from './complete.ts';

/** Bash ends words at `:` and `=`, too: what stands before the last of them is left out of the answers. */
const bash = `# bash completion for jettison: source <(jettison completion bash)
_jettison() {
  local line=\${COMP_LINE:0:COMP_POINT} words typed answer word shown
  read -r -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  typed=\${words[\${#words[@]}-1]}
  shown=\${typed%"\${typed##*[:=]}"}
  COMPREPLY=()
  while IFS= read -r answer; do
    if [[ $answer == ${filesLine} ]]; then
      compopt -o default 2> /dev/null
      return
    fi
    word=\${answer%%$'\\t'*}
    COMPREPLY+=("\${word#"$shown"}")
  done < <(jettison __complete "\${words[@]:1}" 2> /dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *: ]] && compopt -o nospace 2> /dev/null
  return 0
}
complete -F _jettison jettison
# with "alias docker=jettison": complete -F _jettison docker
`;

const zsh = `#compdef jettison
# zsh completion for jettison: source <(jettison completion zsh), behind compinit
_jettison() {
  local -a answers
  local answer
  while IFS= read -r answer; do
    if [[ $answer == ${filesLine} ]]; then
      _files
      return
    fi
    answers+=("\${\${answer%%$'\\t'*}//:/\\\\:}:\${answer#*$'\\t'}")
  done < <(jettison __complete "\${(@)words[2,CURRENT]}" 2> /dev/null)
  _describe -t jettison jettison answers
}
if [[ \${funcstack[1]} == _jettison ]]; then _jettison "$@"; else compdef _jettison jettison; fi
`;

const fish = `# fish completion for jettison: jettison completion fish | source
function __jettison_complete
  set -l words (commandline -opc) (commandline -ct)
  for answer in (jettison __complete $words[2..] 2> /dev/null)
    if test "$answer" = ${filesLine}
      __fish_complete_path (commandline -ct)
    else
      echo $answer
    end
  end
end
complete -c jettison -f -a '(__jettison_complete)'
`;

export const completionScripts = { bash, zsh, fish } as const;
