import { Badge } from './badge.tsx';
import type { CrmCustomerData } from './fragment.ts';
import type { PanelWords } from './words.ts';

/** Who it is: by name, else by what the CRM calls them, else at least that there is someone. */
export function headlineOf(customer: CrmCustomerData, words: PanelWords): string {
  return customer.name ?? customer.customerId ?? words.someone;
}

/** A customer as the CRM knows them. */
export function Customer({ customer, words }: { customer: CrmCustomerData; words: PanelWords }) {
  return (
    <>
      <p className="disqua-headline">
        <strong className="disqua-name" part="name">
          {headlineOf(customer, words)}
        </strong>
        {customer.badge && <Badge {...customer.badge} />}
      </p>
      {customer.fields.length > 0 && (
        <dl className="disqua-fields" part="fields">
          {customer.fields.map(({ key, value }) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
      {customer.deepLink && (
        <a className="disqua-link" part="link" href={customer.deepLink} target="_blank" rel="noopener noreferrer">
          {words.open}
        </a>
      )}
    </>
  );
}
