/** Of the form in which it is kept how an image came about (`record.ts`), and of lists of that: a number more for a form that releases before cannot read. By itself, as builds that make nothing new load no more. */
export const originVersion = 1;
