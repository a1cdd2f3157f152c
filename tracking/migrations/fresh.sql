CREATE TABLE active (
	worker VARCHAR(256) NOT NULL, 
	model VARCHAR(256) NOT NULL, 
	epoch INTEGER NOT NULL, 
	CONSTRAINT pk_active PRIMARY KEY (worker, model), 
	CONSTRAINT fk_active_worker FOREIGN KEY(worker) REFERENCES worker (id) ON DELETE CASCADE
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE change (
	seq BIGINT NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	model VARCHAR(256) NOT NULL, 
	at BIGINT NOT NULL, 
	detail TEXT, 
	CONSTRAINT pk_change PRIMARY KEY (seq)
);
CREATE TABLE change_counter (
	id INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	CONSTRAINT pk_change_counter PRIMARY KEY (id)
);
INSERT INTO "change_counter" VALUES(1,0);
CREATE TABLE datasets (
	dataset_id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	digest VARCHAR(36) NOT NULL, 
	source_type TEXT NOT NULL, 
	source TEXT NOT NULL, 
	schema TEXT NOT NULL, 
	profile TEXT NOT NULL, 
	CONSTRAINT pk_datasets PRIMARY KEY (dataset_id), 
	CONSTRAINT uq_datasets_experiment_id_name_digest UNIQUE (experiment_id, name, digest), 
	CONSTRAINT fk_datasets_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE delivery (
	webhook VARCHAR(36) NOT NULL, 
	seq BIGINT NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	model VARCHAR(256) NOT NULL, 
	body TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at BIGINT NOT NULL, 
	claimed_by VARCHAR(256), 
	claimed_until BIGINT NOT NULL, 
	problem TEXT, 
	CONSTRAINT pk_delivery PRIMARY KEY (webhook, seq), 
	CONSTRAINT fk_delivery_webhook FOREIGN KEY(webhook) REFERENCES webhook (id) ON DELETE CASCADE
);
CREATE TABLE experiment_tags (
	experiment_id INTEGER NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_experiment_tags PRIMARY KEY (experiment_id, "key"), 
	CONSTRAINT fk_experiment_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
)
 WITHOUT ROWID

;
CREATE TABLE experiments (
	experiment_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(500) NOT NULL, 
	artifact_location TEXT NOT NULL, 
	is_deleted BOOLEAN NOT NULL, 
	creation_time BIGINT NOT NULL, 
	last_update_time BIGINT NOT NULL, 
	CONSTRAINT uq_experiments_name UNIQUE (name)
);
CREATE TABLE garbage (
	folder VARCHAR(1024) NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_garbage PRIMARY KEY (folder)
);
CREATE TABLE latest_metrics (
	run_id VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	timestamp BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	value FLOAT NOT NULL, 
	is_nan BOOLEAN NOT NULL, points BIGINT DEFAULT '0' NOT NULL, tail BLOB, 
	CONSTRAINT pk_latest_metrics PRIMARY KEY (run_id, "key"), 
	CONSTRAINT fk_latest_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE logged_model_metrics (
	model_id VARCHAR(64) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	run_id VARCHAR(256) NOT NULL, 
	timestamp BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	value FLOAT NOT NULL, 
	is_nan BOOLEAN NOT NULL, 
	dataset_name TEXT NOT NULL, 
	dataset_digest TEXT NOT NULL, 
	CONSTRAINT pk_logged_model_metrics PRIMARY KEY (model_id, "key", run_id, timestamp, step, value, is_nan), 
	CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id), 
	CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE logged_model_params (
	model_id VARCHAR(64) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_logged_model_params PRIMARY KEY (model_id, "key"), 
	CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id)
)
 WITHOUT ROWID

;
CREATE TABLE logged_model_tags (
	model_id VARCHAR(64) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_logged_model_tags PRIMARY KEY (model_id, "key"), 
	CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id)
)
 WITHOUT ROWID

;
CREATE TABLE logged_models (
	model_id VARCHAR(64) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	model_type TEXT NOT NULL, 
	source_run_id TEXT NOT NULL, 
	artifact_uri TEXT NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	is_deleted BOOLEAN NOT NULL, 
	creation_time BIGINT NOT NULL, 
	last_update_time BIGINT NOT NULL, 
	CONSTRAINT pk_logged_models PRIMARY KEY (model_id), 
	CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE metric_buckets (
	run_id VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	level INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	first_step BIGINT NOT NULL, 
	last_step BIGINT NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_metric_buckets PRIMARY KEY (run_id, "key", level, number), 
	CONSTRAINT fk_metric_buckets_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE metrics (
	run_id VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	timestamp BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	value FLOAT NOT NULL, 
	is_nan BOOLEAN NOT NULL, 
	CONSTRAINT pk_metrics PRIMARY KEY (run_id, "key", timestamp, step, value, is_nan), 
	CONSTRAINT fk_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE model_alias (
	model VARCHAR(256) NOT NULL, 
	alias VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_model_alias PRIMARY KEY (model, alias), 
	CONSTRAINT fk_model_alias_model_version FOREIGN KEY(model, version) REFERENCES model_version (model, version) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE model_version (
	model VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	stage VARCHAR(20) NOT NULL, 
	production_of VARCHAR(256), 
	description TEXT, 
	user_id VARCHAR(256), 
	source TEXT NOT NULL, 
	storage TEXT, 
	run_id VARCHAR(256), 
	run_link TEXT, 
	model_id VARCHAR(256), 
	digest VARCHAR(64), 
	manifest TEXT, 
	seal_problem TEXT, 
	refused_why TEXT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_model_version PRIMARY KEY (model, version), 
	CONSTRAINT one_production UNIQUE (production_of), 
	CONSTRAINT fk_model_version_model FOREIGN KEY(model) REFERENCES registered_model (name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE model_version_tag (
	model VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT, 
	CONSTRAINT pk_model_version_tag PRIMARY KEY (model, version, "key"), 
	CONSTRAINT fk_model_version_tag_model_version FOREIGN KEY(model, version) REFERENCES model_version (model, version) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE params (
	run_id VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_params PRIMARY KEY (run_id, "key"), 
	CONSTRAINT fk_params_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE prepared (
	switch INTEGER NOT NULL, 
	worker VARCHAR(256) NOT NULL, 
	ok INTEGER NOT NULL, 
	why TEXT, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_prepared PRIMARY KEY (switch, worker)
);
CREATE TABLE registered_model (
	name VARCHAR(256) NOT NULL, 
	description TEXT, 
	user_id VARCHAR(256), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	last_version INTEGER NOT NULL, 
	CONSTRAINT pk_registered_model PRIMARY KEY (name)
);
CREATE TABLE registered_model_tag (
	model VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT, 
	CONSTRAINT pk_registered_model_tag PRIMARY KEY (model, "key"), 
	CONSTRAINT fk_registered_model_tag_model FOREIGN KEY(model) REFERENCES registered_model (name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE registry_flag (
	name VARCHAR(40) NOT NULL, 
	value VARCHAR(40) NOT NULL, 
	CONSTRAINT pk_registry_flag PRIMARY KEY (name)
);
INSERT INTO "registry_flag" VALUES('single_production','true');
CREATE TABLE route (
	model VARCHAR(256) NOT NULL, 
	committed_epoch INTEGER NOT NULL, 
	committed TEXT NOT NULL, 
	desired TEXT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_route PRIMARY KEY (model)
);
CREATE TABLE run_datasets (
	run_id VARCHAR(256) NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	tags TEXT NOT NULL, context TEXT, 
	CONSTRAINT pk_run_datasets PRIMARY KEY (run_id, dataset_id), 
	CONSTRAINT fk_run_datasets_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id), 
	CONSTRAINT fk_run_datasets_dataset_id FOREIGN KEY(dataset_id) REFERENCES datasets (dataset_id)
)
 WITHOUT ROWID

;
CREATE TABLE run_model_inputs (
	run_id VARCHAR(256) NOT NULL, 
	model_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_run_model_inputs PRIMARY KEY (run_id, model_id), 
	CONSTRAINT fk_run_model_inputs_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE run_outputs (
	run_id VARCHAR(256) NOT NULL, 
	model_id VARCHAR(64) NOT NULL, 
	step BIGINT NOT NULL, 
	CONSTRAINT pk_run_outputs PRIMARY KEY (run_id, model_id), 
	CONSTRAINT fk_run_outputs_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE runs (
	run_id VARCHAR(256) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	run_name TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	start_time BIGINT NOT NULL, 
	end_time BIGINT, 
	artifact_uri TEXT NOT NULL, 
	is_deleted BOOLEAN NOT NULL, 
	is_deleted_with_experiment BOOLEAN NOT NULL, deleted_at BIGINT, 
	CONSTRAINT pk_runs PRIMARY KEY (run_id), 
	CONSTRAINT fk_runs_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT ck_runs_status CHECK (status IN ('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'))
);
CREATE TABLE secret (
	name VARCHAR(32) NOT NULL, 
	value BLOB NOT NULL, 
	CONSTRAINT pk_secret PRIMARY KEY (name)
);
CREATE TABLE switch (
	seq INTEGER NOT NULL, 
	model VARCHAR(256) NOT NULL, 
	epoch INTEGER NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	lane VARCHAR(20) NOT NULL, 
	route TEXT NOT NULL, 
	promotion TEXT, 
	actor VARCHAR(256) NOT NULL, 
	reason TEXT NOT NULL, 
	why TEXT, 
	opened_at BIGINT NOT NULL, 
	deadline_at BIGINT NOT NULL, 
	closed_at BIGINT, 
	CONSTRAINT pk_switch PRIMARY KEY (seq)
);
CREATE TABLE tags (
	run_id VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_tags PRIMARY KEY (run_id, "key"), 
	CONSTRAINT fk_tags_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE token (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	salt BLOB NOT NULL, 
	hash BLOB NOT NULL, 
	permissions TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	CONSTRAINT pk_token PRIMARY KEY (id)
);
CREATE TABLE transition (
	id INTEGER NOT NULL, 
	model VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	from_stage VARCHAR(20) NOT NULL, 
	to_stage VARCHAR(20) NOT NULL, 
	actor VARCHAR(256) NOT NULL, 
	reason TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	switch INTEGER, 
	CONSTRAINT pk_transition PRIMARY KEY (id)
);
CREATE TABLE webhook (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	url TEXT NOT NULL, 
	events TEXT NOT NULL, 
	description TEXT, 
	secret TEXT, 
	status VARCHAR(16) NOT NULL, 
	last_seq BIGINT NOT NULL, 
	dropped BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_webhook PRIMARY KEY (id)
);
CREATE TABLE worker (
	id VARCHAR(256) NOT NULL, 
	host VARCHAR(256) NOT NULL, 
	idx INTEGER NOT NULL, 
	pid INTEGER NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	started_at BIGINT NOT NULL, 
	heartbeat_at BIGINT NOT NULL, 
	CONSTRAINT pk_worker PRIMARY KEY (id)
);
CREATE INDEX ix_experiments_is_deleted_creation_time_experiment_id ON experiments (is_deleted, creation_time, experiment_id);
CREATE INDEX ix_runs_experiment_id_is_deleted_start_time_run_id ON runs (experiment_id, is_deleted, start_time, run_id);
CREATE INDEX model_version_by_run ON model_version (run_id);
CREATE INDEX model_version_by_storage ON model_version (storage);
CREATE INDEX transition_by_model ON transition (model, id);
CREATE INDEX switch_by_model ON switch (model, seq);
CREATE INDEX switch_by_state ON switch (state);
CREATE INDEX ix_logged_models_by_creation ON logged_models (experiment_id, is_deleted, creation_time, model_id);
CREATE INDEX ix_run_datasets_dataset_id ON run_datasets (dataset_id);
CREATE INDEX ix_latest_metrics_key_is_nan_value ON latest_metrics ("key", is_nan, value);
CREATE INDEX webhook_by_creation ON webhook (created_at, id);
CREATE INDEX delivery_by_model ON delivery (webhook, model, seq);
CREATE INDEX ix_params_key_value ON params ("key", value) WHERE length(value) <= 200;
CREATE INDEX ix_params_long ON params ("key") WHERE length(value) > 200;
CREATE INDEX ix_tags_key_value ON tags ("key", value) WHERE length(value) <= 200;
CREATE INDEX ix_tags_long ON tags ("key") WHERE length(value) > 200;
DELETE FROM "sqlite_sequence";
