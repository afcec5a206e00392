/* countdown N [FILE]: counts down from N, then prints FILE. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  int from = argc > 1 ? atoi(argv[1]) : 3;
  for (int i = from; i > 0; i--) printf("T minus %d\n", i);
  puts("lift-off");
  if (argc > 2) {
    FILE *file = fopen(argv[2], "r");
    int c;
    if (file == NULL) {
      perror(argv[2]);
      return 1;
    }
    while ((c = getc(file)) != EOF) putchar(c);
    fclose(file);
  }
  return 0;
}
