BEGIN TRANSACTION;
CREATE TABLE charges (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        part TEXT NOT NULL,
        model TEXT,
        tokens_in INTEGER,
        cached INTEGER,
        tokens_out INTEGER,
        partials INTEGER,
        cost_in TEXT,
        cost_out TEXT,
        PRIMARY KEY (run, position)
    ) WITHOUT ROWID
    ;
INSERT INTO "charges" VALUES(1,0,'text model','gpt-4o-mini',2309,0,9,NULL,'0.00034635','0.0000054');
INSERT INTO "charges" VALUES(1,1,'image model','gpt-image-2',9,NULL,2060,3,NULL,'0.0618');
CREATE TABLE parents (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        role TEXT NOT NULL,
        PRIMARY KEY (run, position)
    ) WITHOUT ROWID
    ;
INSERT INTO "parents" VALUES(1,0,'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','original');
CREATE TABLE pictures (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        image INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        path,
        format TEXT,
        width INTEGER,
        height INTEGER,
        revised_prompt TEXT,
        PRIMARY KEY (run, image)
    ) WITHOUT ROWID
    ;
INSERT INTO "pictures" VALUES(1,0,'abababababababababababababababababababababababababababababababab',1234,'/here/a-cat.png','png',48,32,'A cat.');
INSERT INTO "pictures" VALUES(2,0,'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',1234,'/here/a-cat-2.png','png',48,32,NULL);
CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL UNIQUE,
        started TEXT NOT NULL,
        ended TEXT NOT NULL,
        endpoint TEXT,
        outcome TEXT NOT NULL,
        charged TEXT NOT NULL,
        cost TEXT,
        prices_date TEXT,
        model TEXT,
        image_model TEXT,
        response_id TEXT,
        prompt TEXT NOT NULL,
        message TEXT,
        request TEXT,
        usage TEXT,
        tool_usage TEXT
    );
INSERT INTO "runs" VALUES(1,'20261122-000001-abcd','2026-11-22T12:01:00.000+00:00','2026-11-22T12:01:09.000+00:00','api.openai.com','ok','yes','0.06215175','2026-08-21','gpt-4o-mini','gpt-image-2','resp_1','a cat',NULL,'{"prompt": "a cat", "model": "gpt-4o-mini", "api": "responses", "image_model": null, "size": "1024x1024", "quality": "low", "format": null, "compression": null, "background": null, "moderation": null, "partials": 3, "stream": true, "inline": false}','{"input_tokens": 2309}','{"image_gen": {"input_tokens": 9}}');
INSERT INTO "runs" VALUES(2,'20261122-000002-abcd','2026-11-22T12:02:00.000+00:00','2026-11-22T12:02:09.000+00:00','demo','ok','no','0.01',NULL,NULL,NULL,NULL,'a cat',NULL,'{"prompt": "a cat", "model": "gpt-4o-mini", "api": "responses", "image_model": null, "size": "1024x1024", "quality": "low", "format": null, "compression": null, "background": null, "moderation": null, "partials": 3, "stream": true, "inline": false}',NULL,NULL);
INSERT INTO "runs" VALUES(3,'20261122-000003-abcd','2026-11-22T12:03:00.000+00:00','2026-11-22T12:03:09.000+00:00','127.0.0.1:4000','unknown','maybe',NULL,NULL,NULL,NULL,NULL,'a cat','The run was broken off.','{"prompt": "a cat", "model": "gpt-4o-mini", "api": "responses", "image_model": null, "size": "1024x1024", "quality": "low", "format": null, "compression": null, "background": null, "moderation": null, "partials": 3, "stream": true, "inline": false}',NULL,NULL);
CREATE INDEX runs_money ON runs (started, endpoint, cost, prices_date);
CREATE INDEX pictures_sha256 ON pictures (sha256);
CREATE INDEX pictures_path ON pictures (path);
CREATE INDEX parents_sha256 ON parents (sha256);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',3);
COMMIT;
PRAGMA user_version = 1;
