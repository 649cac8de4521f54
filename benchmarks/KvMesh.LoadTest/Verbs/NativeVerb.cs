using System.CommandLine;
using KvMesh.Client;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The native protocol over TCP and Unix sockets beside a bare socket loop that computes the same checksums on the same sides.</summary>
internal static class NativeVerb
{
    private const long ArenaBytes = 3L << 30;
    private const long FreshBytes = 2L << 30;
    private const long SetBytes = 1L << 30;

    public static Command Create()
    {
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 4 << 20 };
        var connections = new Option<int>("--connections") { DefaultValueFactory = _ => 2 };
        var congestion = new Option<string>("--congestion-control") { Description = "Of both sides and of the baseline; empty: the system's.", DefaultValueFactory = _ => "" };
        var only = Tasks.Option("tcp-get", "tcp-put", "unix-get", "unix-put");
        return RunOptions.Verb("native", "Native get and put over TCP and Unix sockets beside a bare socket loop.", 1, Configure, (parse, settings) =>
            new Comparison(settings, parse.GetValue(size), parse.GetValue(connections), parse.GetValue(congestion)!, parse.GetValue(only)!).Run());

        void Configure(Command command)
        {
            command.Add(size);
            command.Add(connections);
            command.Add(congestion);
            command.Add(only);
        }
    }

    private sealed class Comparison(RunSettings settings, int size, int connections, string congestion, string[] only)
    {
        private readonly Report _report = new(
            "native",
            $"Closed loop, {connections} connections with one request in flight each, payload {size} bytes. A get is checksummed by the client, a put by both "
            + "sides, and so are they in the bare loop, which is a process of its own with blocking sockets under the same congestion control.");

        public Report Run()
        {
            using var node = new NodeUnderTest(new KvMeshSettings { DataDirectory = "", ArenaBytes = ArenaBytes, CongestionControl = congestion });
            Compare(node, "tcp", "TCP", node.TcpEndpoint, unixPath: null);
            Compare(node, "unix", "Unix socket", node.UnixEndpoint, Path.Combine(node.Settings.DataDirectory, "loop.sock"));
            return _report;
        }

        private void Compare(NodeUnderTest node, string task, string transport, string endpoint, string? unixPath)
        {
            if (!only.Contains($"{task}-get") && !only.Contains($"{task}-put"))
            {
                return;
            }

            RunSettings.Progress(transport);
            using var loop = LoopProcess.Start(unixPath, congestion);
            var options = new ClientOptions
            {
                Endpoint = endpoint,
                Connections = connections,
                AllowSharedMemory = false,
                BlockingCalls = true,
                CongestionControl = congestion.Length == 0 ? null : congestion,
            };
            var client = node.Connect(options);
            var trusting = node.Connect(options with { VerifyChecksums = false });
            var asynchronous = node.Connect(options with { BlockingCalls = false });
            node.Flush();
            NodeUnderTest.Fill(client, SetBytes / size, size);

            Contender[] gets =
            [
                new("bare loop, checksummed", () => Loop(loop, connection => connection.Get(size, serverChecksums: false, clientChecksums: true))),
                new("bare loop", () => Loop(loop, connection => connection.Get(size, serverChecksums: false, clientChecksums: false))),
                new("kvmesh", () => Get(node, client)),
                new("kvmesh, client does not verify", () => Get(node, trusting)),
                new("kvmesh, asynchronous calls", () => Get(node, asynchronous)),
            ];
            Measure($"{task}-get", $"get, {transport}", gets);

            Contender[] puts =
            [
                new("bare loop, checksummed", () => Loop(loop, connection => connection.Put(size, serverChecksums: true, clientChecksums: true))),
                new("bare loop", () => Loop(loop, connection => connection.Put(size, serverChecksums: false, clientChecksums: false))),
                new("kvmesh", () => Put(node, client)),
                new("kvmesh, asynchronous calls", () => Put(node, asynchronous)),
            ];
            Measure($"{task}-put", $"put of fresh keys, {transport}", puts);
        }

        private void Measure(string task, string what, Contender[] contenders)
        {
            if (only.Contains(task))
            {
                _report.AddThroughput(what, PairedRuns.Measure(contenders, settings), Target);
            }
        }

        private static double? Target(Series series) => series.Name == "kvmesh" ? 0.95 : null;

        private Sample Get(NodeUnderTest node, KvMeshClient client) => node.Drive(
            client, connections, size, settings, long.MaxValue, (worker, tally, window) => worker.GetAsync(SetBytes / size, tally, window));

        /// <summary>Into warm pages: the arena was filled once, and is emptied before each run, outside of the time.</summary>
        private Sample Put(NodeUnderTest node, KvMeshClient client)
        {
            node.Flush();
            return node.Drive(client, connections, size, settings, FreshBytes, (worker, tally, window) => worker.PutAsync(tally, window));
        }

        private Sample Loop(LoopProcess loop, Action<LoopConnection> step) => BareLoop.Drive(loop, connections, size, settings, congestion, step);
    }
}

/// <summary>Drives the bare loop as the other contenders are driven.</summary>
internal static class BareLoop
{
    public static Sample Drive(LoopProcess loop, int connections, int size, RunSettings settings, string congestion, Action<LoopConnection> step)
    {
        LoopConnection[] opened = [.. Enumerable.Range(0, connections).Select(_ => new LoopConnection(loop.Endpoint, congestion))];
        try
        {
            return Workers.Run(connections, loop.ProcessId, () => new RunWindow(settings.Time), (tally, window) =>
            {
                while (window.TryBegin(size))
                {
                    var begin = System.Diagnostics.Stopwatch.GetTimestamp();
                    step(opened[tally.Index]);
                    tally.Count(1, size, System.Diagnostics.Stopwatch.GetTimestamp() - begin);
                }
            });
        }
        finally
        {
            Array.ForEach(opened, connection => connection.Dispose());
        }
    }
}
