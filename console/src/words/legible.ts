const DIRECTION_CONTROLS = /[\u202a-\u202e\u2066-\u2069]/g;

/** A stranger's line without the controls that make other text stand backwards: a name must not read as another. */
export function legible(line: string): string {
  return line.replaceAll(DIRECTION_CONTROLS, '');
}
