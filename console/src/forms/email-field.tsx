import { TextField } from '@radix-ui/themes';
import type { ReactNode } from 'react';
import { Field, type Problem } from './field.tsx';

/** A field for one address; whether it is one, the server says. */
export function EmailField({
  value,
  onType,
  autoFocus,
  ...field
}: {
  name: string;
  label: string;
  help?: ReactNode;
  problems: readonly Problem[];
  value: string;
  onType: (email: string) => void;
  autoFocus?: boolean;
}) {
  return (
    <Field {...field}>
      {(described) => (
        <TextField.Root
          {...described}
          type="email"
          autoComplete="off"
          autoFocus={autoFocus}
          value={value}
          onChange={(event) => onType(event.target.value)}
        />
      )}
    </Field>
  );
}
