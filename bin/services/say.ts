// One line of progress for people: what is being done, and why the next way is tried.

export type Say = (line: string) => void;
