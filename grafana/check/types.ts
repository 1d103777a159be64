// What a dashboard of ours may be: Grafana's published types, each panel with the options and field options of its own
// kind, and nothing besides. Grafana's own `Panel` takes any options; a misspelt one would be ignored in silence.

import type {
  AnnotationQuery,
  Dashboard,
  DataQuery,
  DataSourceRef,
  FieldConfig,
  Panel,
  RowPanel,
  TableFieldOptions,
} from '@grafana/schema';
import type * as HeatmapPanel from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as StatPanel from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as StateTimelinePanel from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as TablePanel from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as TimeSeriesPanel from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** A type as it is in JSON: a string enum is the text of its members. */
type Json<T> = T extends string
  ? string extends T
    ? string
    : `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

/** A query of Prometheus. Grafana publishes no type for it any more; these are the fields its editor writes. */
interface PrometheusQuery extends DataQuery {
  datasource: DataSourceRef;
  editorMode: 'code';
  expr: string;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  interval?: string;
  legendFormat: string;
  range: boolean;
}

type PanelOf<Kind extends string, Options, Custom> = Omit<
  Panel,
  'type' | 'options' | 'fieldConfig' | 'targets' | 'title' | 'description' | 'gridPos'
> &
  Required<Pick<Panel, 'title' | 'description' | 'gridPos'>> & {
    type: Kind;
    options: Options;
    targets: PrometheusQuery[];
    fieldConfig: {
      defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom };
      overrides: NonNullable<Panel['fieldConfig']>['overrides'];
    };
  };

type AnyPanel =
  | PanelOf<'heatmap', HeatmapPanel.Options, HeatmapPanel.FieldConfig>
  | PanelOf<'stat', StatPanel.Options, never>
  | PanelOf<'state-timeline', StateTimelinePanel.Options, StateTimelinePanel.FieldConfig>
  | PanelOf<'table', TablePanel.Options, Partial<TableFieldOptions>>
  | PanelOf<'timeseries', TimeSeriesPanel.Options, TimeSeriesPanel.FieldConfig>;

type Row = Omit<RowPanel, 'panels'> & { panels: AnyPanel[] };

/** Prometheus shows what an annotation's query finds; the two formats are its own. */
type Annotation = Omit<AnnotationQuery, 'target'> & {
  target: Pick<PrometheusQuery, 'refId' | 'expr' | 'interval'>;
  titleFormat: string;
  textFormat: string;
};

export type CheckedDashboard = Json<
  Omit<Dashboard, 'panels' | 'annotations'> & {
    uid: string;
    title: string;
    annotations: { list: Annotation[] };
    panels: (AnyPanel | Row)[];
  }
>;
