<?php
declare(strict_types=1);

$database = new PDO('sqlite:' . (getenv('LOOKUP_DATABASE') ?: __DIR__ . '/customers.sqlite3'));
$database->exec(file_get_contents(__DIR__ . '/../customers.sql'));
