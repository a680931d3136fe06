import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;

/**
 * The JDBC driver with several connections in threads. Called with a case, a JDBC URL and a number of connections; prints
 * one line of JSON with how many answers it checked and exits with 0, or prints what went wrong and exits with 1.
 */
public final class WithJdbc {
  private static final AtomicInteger checked = new AtomicInteger();
  private static String url;
  private static int connections;

  private interface Work {
    void run(int me, Connection connection) throws Exception;
  }

  private interface Case {
    void run() throws Exception;
  }

  private interface Action {
    void run() throws Exception;
  }

  public static void main(String[] args) {
    url = args[1];
    connections = Integer.parseInt(args[2]);
    Map<String, Case> cases =
        Map.of(
            "names", WithJdbc::names,
            "shapes", WithJdbc::shapes,
            "batches", WithJdbc::batches,
            "cursors", WithJdbc::cursors,
            "copy", WithJdbc::copy,
            "transactions", WithJdbc::transactions);
    try {
      cases.get(args[0]).run();
      System.out.printf("{\"case\": \"%s\", \"checked\": %d}%n", args[0], checked.get());
      System.out.flush();
      Runtime.getRuntime().halt(0);
    } catch (Throwable error) {
      error.printStackTrace();
      // Not exit: threads of a driver that wait for ever must not keep the program.
      Runtime.getRuntime().halt(1);
    }
  }

  /** Every connection prepares its own statements at once, under the names that all of them use: S_1, S_2, … */
  private static void names() throws Exception {
    inThreads(
        "prepareThreshold=1",
        (me, connection) -> {
          try (PreparedStatement one = connection.prepareStatement("select ? + " + me);
              PreparedStatement five = connection.prepareStatement("select ?::int, ?::text, ?::int, ?::text, " + me + " + ?::int")) {
            for (int n = 0; n < 40; n++) {
              one.setInt(1, n * 1000);
              equal(rows(one.executeQuery()), List.of(List.of(n * 1000 + me)));
              five.setInt(1, n);
              five.setString(2, "b" + me);
              five.setInt(3, me);
              five.setString(4, "d");
              five.setInt(5, n);
              equal(rows(five.executeQuery()), List.of(List.of(n, "b" + me, me, "d", me + n)));
            }
          }
        });
  }

  /** Statements that change from unnamed to named on the way, simple queries, generated keys and errors in between. */
  private static void shapes() throws Exception {
    for (String mode : new String[] {"extended", "simple", "extendedForPrepared", "extendedCacheEverything"}) {
      inThreads(
          "prepareThreshold=3&preferQueryMode=" + mode,
          (me, connection) -> {
            String table = "shape_" + mode + "_" + me;
            try (Statement statement = connection.createStatement()) {
              statement.execute("create table " + table + " (id int generated always as identity primary key, word text unique)");
              for (int n = 0; n < 10; n++) {
                equal(rows(statement.executeQuery("select " + n + ", " + me)), List.of(List.of(n, me)));
                try (PreparedStatement insert = connection.prepareStatement("insert into " + table + " (word) values (?)", Statement.RETURN_GENERATED_KEYS)) {
                  insert.setString(1, "word " + n);
                  equal(insert.executeUpdate(), 1);
                  equal(rows(insert.getGeneratedKeys()).get(0).get(0), 2 * n + 1);
                  equal(fails(insert::executeUpdate).getSQLState(), "23505");
                }
                equal(fails(() -> statement.executeQuery("select * from nowhere")).getSQLState(), "42P01");
              }
              equal(statement.execute("select 1; select 2"), true);
              equal(rows(statement.getResultSet()), List.of(List.of(1)));
              equal(statement.getMoreResults(), true);
              equal(rows(statement.getResultSet()), List.of(List.of(2)));
            }
          });
    }
  }

  /** Batches of many rows, also rewritten into few statements, and one whose middle fails. */
  private static void batches() throws Exception {
    for (boolean rewritten : new boolean[] {false, true}) {
      inThreads(
          "prepareThreshold=1&reWriteBatchedInserts=" + rewritten,
          (me, connection) -> {
            String table = "batch_" + rewritten + "_" + me;
            execute(connection, "create table " + table + " (n int primary key, word text)");
            try (PreparedStatement insert = connection.prepareStatement("insert into " + table + " values (?, ?)")) {
              for (int n = 0; n < 1000; n++) {
                insert.setInt(1, n);
                insert.setString(2, "word " + n + " of " + me);
                insert.addBatch();
              }
              equal(insert.executeBatch().length, 1000);
              for (int n : new int[] {2000, 5, 2001}) {
                insert.setInt(1, n);
                insert.setString(2, "again");
                insert.addBatch();
              }
              equal(fails(insert::executeBatch).getSQLState(), "23505");
              insert.clearBatch();
            }
            String sum = "select count(*)::int, sum(n)::int, max(n) from " + table + " where word = 'word ' || n || ' of " + me + "'";
            equal(query(connection, sum), List.of(List.of(1000, 499500, 999)));
          });
    }
  }

  /** Results that are fetched in parts, two at a time in one transaction. */
  private static void cursors() throws Exception {
    inThreads(
        "prepareThreshold=1",
        (me, connection) -> {
          connection.setAutoCommit(false);
          for (int round = 0; round < 3; round++) {
            String sql = "select n * ?::int from generate_series(1, 500) n";
            try (PreparedStatement first = connection.prepareStatement(sql);
                PreparedStatement second = connection.prepareStatement(sql)) {
              first.setFetchSize(60);
              second.setFetchSize(45);
              first.setInt(1, me);
              second.setInt(1, -me);
              try (ResultSet up = first.executeQuery();
                  ResultSet down = second.executeQuery()) {
                for (int n = 1; n <= 500; n++) {
                  equal(up.next() && down.next(), true);
                  equal(up.getInt(1), n * me);
                  equal(down.getInt(1), -n * me);
                }
                equal(up.next() || down.next(), false);
              }
            }
            connection.commit();
          }
        });
  }

  /** COPY in and out, with data that comes slowly, that is broken, and that is given up. */
  private static void copy() throws Exception {
    inThreads(
        "",
        (me, connection) -> {
          String table = "copied4_" + me;
          execute(connection, "create table " + table + " (n int, words text)");
          StringBuilder text = new StringBuilder();
          for (int n = 0; n < 3000; n++) text.append(n).append("\twords ").append(n).append(" of ").append(me).append('\n');
          CopyManager manager = connection.unwrap(PGConnection.class).getCopyAPI();
          equal(manager.copyIn("copy " + table + " from stdin", new StringReader(text.toString())), 3000L);
          ByteArrayOutputStream out = new ByteArrayOutputStream();
          equal(manager.copyOut("copy (select * from " + table + " order by n) to stdout", out), 3000L);
          equal(out.toString(StandardCharsets.UTF_8), text.toString());

          execute(connection, "truncate " + table);
          byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
          CopyIn slow = manager.copyIn("copy " + table + " from stdin");
          for (int at = 0; at < bytes.length; at += 20_000) {
            Thread.sleep(200);
            slow.writeToCopy(bytes, at, Math.min(20_000, bytes.length - at));
            slow.flushCopy();
          }
          equal(slow.endCopy(), 3000L);

          SQLException broken = fails(() -> manager.copyIn("copy " + table + " from stdin", new StringReader("1\tx\nmany\tx\n")));
          equal(broken.getSQLState(), "22P02");
          equal(broken.getMessage().contains("line 2"), true);
          CopyIn givenUp = manager.copyIn("copy " + table + " from stdin");
          givenUp.writeToCopy("1\tx\n".getBytes(StandardCharsets.UTF_8), 0, 4);
          givenUp.cancelCopy();
          equal(query(connection, "select count(*)::int, sum(n)::int from " + table), List.of(List.of(3000, 4498500)));
        });
  }

  /** Transactions with savepoints and errors, by hand and with the driver's own savepoints. */
  private static void transactions() throws Exception {
    for (String autosave : new String[] {"never", "always"}) {
      String table = "deed_" + autosave;
      try (Connection connection = DriverManager.getConnection(url)) {
        execute(connection, "create table " + table + " (me int, n int, name text)");
      }
      inThreads(
          "prepareThreshold=1&autosave=" + autosave,
          (me, connection) -> {
            connection.setAutoCommit(false);
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            for (int n = 0; n < 10; n++) {
              execute(connection, "insert into " + table + " values (" + me + ", " + n + ", 'kept')");
              Savepoint savepoint = connection.setSavepoint();
              execute(connection, "insert into " + table + " values (" + me + ", " + n + ", 'undone')");
              equal(fails(() -> execute(connection, "select 1 / 0")).getSQLState(), "22012");
              connection.rollback(savepoint);
              equal(query(connection, "select count(*)::int from " + table + " where me = " + me + " and n = " + n), List.of(List.of(1)));
              if (n % 5 == 4) connection.rollback();
              else connection.commit();
            }
          });
      try (Connection connection = DriverManager.getConnection(url)) {
        List<List<Object>> expected = new ArrayList<>();
        for (int me = 0; me < connections; me++) expected.add(List.of(me, 8, "kept"));
        String sql = "select me, count(*)::int, string_agg(distinct name, ',') from " + table + " group by 1 order by 1";
        equal(query(connection, sql), expected);
      }
    }
  }

  private static void inThreads(String options, Work work) throws Exception {
    CyclicBarrier start = new CyclicBarrier(connections);
    ExecutorService threads = Executors.newFixedThreadPool(connections);
    List<Future<?>> running = new ArrayList<>();
    for (int index = 0; index < connections; index++) {
      int me = index;
      running.add(
          threads.submit(
              () -> {
                try (Connection connection = DriverManager.getConnection(url + (url.contains("?") ? "&" : "?") + options)) {
                  start.await();
                  work.run(me, connection);
                }
                return null;
              }));
    }
    for (Future<?> one : running) one.get();
    threads.shutdown();
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static List<List<Object>> query(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      return rows(statement.executeQuery(sql));
    }
  }

  private static List<List<Object>> rows(ResultSet results) throws SQLException {
    List<List<Object>> rows = new ArrayList<>();
    try (results) {
      while (results.next()) {
        List<Object> row = new ArrayList<>();
        for (int column = 1; column <= results.getMetaData().getColumnCount(); column++) row.add(results.getObject(column));
        rows.add(row);
      }
    }
    return rows;
  }

  private static SQLException fails(Action action) throws Exception {
    try {
      action.run();
    } catch (SQLException error) {
      return error;
    }
    throw new AssertionError("no SQLException was thrown");
  }

  private static void equal(Object actual, Object expected) {
    if (!Objects.equals(actual, expected)) throw new AssertionError("wrong answer: expected " + expected + ", got " + actual);
    checked.incrementAndGet();
  }
}
