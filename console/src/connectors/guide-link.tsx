import { ExternalLinkIcon } from '@radix-ui/react-icons';
import { Link } from '@radix-ui/themes';
import { useWords } from '../preferences/preferences.ts';
import { useViewer } from '../shell/viewer.tsx';
import styles from './guide-link.module.css';
import { connectorWords } from './words.ts';

/** To the guide that the operator names. */
export function GuideLink() {
  const words = useWords(connectorWords);
  const { guideUrl } = useViewer();
  return (
    <Link color="indigo" href={guideUrl} target="_blank" rel="noopener noreferrer" className={styles.guide}>
      {words.guide} <ExternalLinkIcon />
    </Link>
  );
}
