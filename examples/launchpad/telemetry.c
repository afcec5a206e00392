/* telemetry: copies its input and says how much came through. */
#include <stdio.h>

int main(void) {
  long lines = 0, bytes = 0;
  int c;
  while ((c = getchar()) != EOF) {
    putchar(c);
    bytes++;
    if (c == '\n') lines++;
  }
  printf("telemetry: %ld lines, %ld bytes\n", lines, bytes);
  return 0;
}
