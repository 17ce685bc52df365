/** A trial that the form asks the test's page to make; a new connector is switched on if it is answered. */
export type Errand = Readonly<{ connectorId: string; email: string; thenEnable: boolean }>;
