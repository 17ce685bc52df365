import { Button } from '@radix-ui/themes';
import { Component, type ReactNode } from 'react';
import { useWords } from '../preferences/preferences.ts';
import { Notice } from './notice.tsx';
import { shellWords } from './words.ts';

type Props = Readonly<{ place?: string; children: ReactNode }>;

/** Keeps a fault of one page from emptying the whole window; another `place` is another chance. */
export class Crash extends Component<Props, Readonly<{ crashed: boolean }>> {
  override state = { crashed: false };

  static getDerivedStateFromError() {
    return { crashed: true };
  }

  override componentDidUpdate(before: Props) {
    if (before.place !== this.props.place && this.state.crashed) {
      this.setState({ crashed: false });
    }
  }

  override render() {
    return this.state.crashed ? <Crashed /> : this.props.children;
  }
}

function Crashed() {
  const words = useWords(shellWords);
  return (
    <div role="alert">
      <Notice title={words.crashed}>
        <Button onClick={() => location.reload()}>{words.reload}</Button>
      </Notice>
    </div>
  );
}
