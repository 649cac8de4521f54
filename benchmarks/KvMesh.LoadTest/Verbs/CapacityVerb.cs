using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.Codecs.Blocks;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;
using KvMesh.Simulation.Traces;

namespace KvMesh.LoadTest.Verbs;

/// <summary>What encoding blocks in RAM is worth: a recorded trace through a node of the same bytes, as they are and encoded.</summary>
internal static class CapacityVerb
{
    private const double WantedPercent = 32;

    public static Command Create()
    {
        var trace = new Option<FileInfo>("--trace") { Description = "Requests in Mooncake's format.", Required = true };
        trace.AcceptExistingOnly();
        var blocks = new Option<int>("--blocks") { Description = "Blocks that RAM holds as they are.", DefaultValueFactory = _ => 10_000 };
        var codecs = new Option<string[]>("--codec") { Description = "Codecs of blocks in RAM.", DefaultValueFactory = _ => ["lossless", "kivi4-g64"], AllowMultipleArgumentsPerToken = true };
        return RunOptions.Verb(
            "capacity", "Hit ratio of a recorded trace with the same bytes of RAM, blocks as they are and encoded. Every byte is checked.", 1,
            command => { command.Add(trace); command.Add(blocks); command.Add(codecs); },
            (parse, settings) => new Comparison(settings, parse.GetValue(trace)!, parse.GetValue(blocks)).RunAsync(parse.GetValue(codecs)!).GetAwaiter().GetResult());
    }

    private sealed class Comparison(RunSettings settings, FileInfo trace, int blocks)
    {
        private readonly TensorBlocks _content = new();
        private readonly List<PromptRequest> _requests = MooncakeTrace.Load(trace.FullName);

        /// <summary>An extent of a block as it is: payload, checksums and names in whole granules.</summary>
        private long RawExtent => (_content.Bytes + Limits.GranuleBytes) / Limits.GranuleBytes * Limits.GranuleBytes;

        public async Task<Report> RunAsync(string[] codecs)
        {
            var report = new Report(
                "capacity",
                $"{_requests.Count} requests of {trace.Name}, one after the other over the native protocol, blocks of {_content.Bytes} bytes of bf16 keys and values (2 layers of "
                + $"1 head of 64 channels, 512 tokens), RAM for {blocks} of them as they are, left in the order of their last use, no disk. A hit is right when it has the bytes that were written, or those that their encoding decodes to.");
            foreach (var codec in codecs.Prepend("raw"))
            {
                var runs = new List<Outcome>();
                for (var repeat = 0; repeat < settings.Repeats; repeat++)
                {
                    RunSettings.Progress($"{codec}, run {repeat + 1}");
                    runs.Add(await ReplayAsync(codec).ConfigureAwait(false));
                }

                Add(report, codec, runs);
            }

            return report;
        }

        private static void Add(Report report, string codec, List<Outcome> runs)
        {
            report.Add(Row("hit ratio", codec, runs.Select(run => 100.0 * run.Hits / run.Asked), "%") with
            {
                Target = codec == "kivi4-g64" ? WantedPercent : null,
                TargetIsFigure = true,
            });
            report.Add(Row("blocks in RAM at the end", codec, runs.Select(run => (double)run.Resident), ""));
            report.Add(Row("wrong blocks", codec, runs.Select(run => (double)run.Wrong), "") with { LessIsBetter = true, Target = 0, TargetIsFigure = true });
            report.Add(Row("time of the replay", codec, runs.Select(run => run.Seconds), "s"));
            var last = runs[^1].Coding;
            foreach (var figure in last.Codecs)
            {
                var loss = figure.Loss is { } lost ? FormattableString.Invariant($", mean errors of keys {lost.Keys:0.000}, values {lost.Values:0.000}, outputs {lost.Outputs:0.000}") : "";
                report.Note(FormattableString.Invariant(
                    $"{codec}: {figure.EncodedBlocks} blocks encoded, ratio {(double)figure.EncodedFromBytes / figure.EncodedToBytes:0.00}{loss}; {figure.DecodedBlocks} decoded."));
            }

            foreach (var fallback in last.Fallbacks.Where(fallback => fallback.Blocks > 0))
            {
                report.Note(FormattableString.Invariant($"{codec}: {fallback.Blocks} times not encoded: {fallback.Reason}."));
            }
        }

        private static ReportRow Row(string what, string who, IEnumerable<double> values, string unit) =>
            new() { What = what, Who = who, Figure = Spread.Of(values), Unit = unit };

        private async Task<Outcome> ReplayAsync(string codec)
        {
            // Promises are squeezed as the hour of the trace is: nobody makes leave what it was promised before it has read it.
            using var node = new NodeUnderTest(new KvMeshSettings
            {
                DataDirectory = "",
                ArenaBytes = blocks * RawExtent,
                MaxBlocks = 8 * blocks,
                MaxLease = TimeSpan.FromMilliseconds(1),

                // What a policy learns of times would be of squeezed ones.
                Retention = "Lru",
                Layouts = _content.Layouts,
                HostCodecs = codec,
                EncodeShare = Environment.ProcessorCount,
            });
            var replay = new Replay(
                node.Connect(new ClientOptions { Endpoint = node.UnixEndpoint, AllowSharedMemory = false }), _content, codec == "raw" ? null : CodecRegistry.Standard.Find(codec));
            var startedAt = Stopwatch.GetTimestamp();
            foreach (var request in _requests)
            {
                await replay.ServeAsync(request).ConfigureAwait(false);
            }

            var seconds = Stopwatch.GetElapsedTime(startedAt).TotalSeconds;
            using var admin = new AdminClient(node.Node.Http, null);
            var status = await admin.GetStatusAsync(CancellationToken.None).ConfigureAwait(false);
            return new Outcome(
                replay.Asked, replay.Hits, replay.Wrong, status.Tiers.Single(tier => tier.Name == "host").Blocks, seconds,
                status.Codings!.Single(tier => tier.Tier == "host").Coding);
        }
    }

    private sealed record Outcome(long Asked, long Hits, long Wrong, long Resident, double Seconds, CodingStatus Coding);

    /// <summary>One engine: asks how much of a prompt is there, reads and checks that, and writes the rest in order.</summary>
    private sealed class Replay(KvMeshClient client, TensorBlocks content, KvCodec? codec)
    {
        private const int Batch = 32;

        private static readonly TimeSpan Lease = TimeSpan.FromSeconds(10);

        private readonly BlockScope _scope = new("loadtest", "1", content.Layout.Hash, 0);
        private readonly byte[] _buffer = new byte[Batch * content.Bytes];
        private readonly byte[] _written = new byte[content.Bytes];
        private readonly GetResult[] _reads = new GetResult[Batch];
        private readonly PutStatus[] _writes = new PutStatus[Batch];
        private byte[] _hashes = new byte[64 * Limits.ChainHashBytes];

        public long Asked { get; private set; }

        public long Hits { get; private set; }

        public long Wrong { get; private set; }

        public async Task ServeAsync(PromptRequest request)
        {
            var chain = request.HashInto(ref _hashes);
            var match = chain.IsEmpty ? default : await client.MatchPrefixAsync(_scope, chain, Lease, CancellationToken.None).ConfigureAwait(false);
            var hits = await ReadAsync(chain, Math.Min(match.Blocks, request.FullBlocks)).ConfigureAwait(false);
            Asked += request.BlockIds.Length;
            Hits += hits;
            for (var first = hits; first < request.FullBlocks; first += Batch)
            {
                await WriteAsync(chain, first, Math.Min(Batch, request.FullBlocks - first)).ConfigureAwait(false);
            }
        }

        /// <summary>Blocks that came before the first one that did not.</summary>
        private async Task<int> ReadAsync(ReadOnlyMemory<byte> chain, int matched)
        {
            for (var first = 0; first < matched; first += Batch)
            {
                var count = Math.Min(Batch, matched - first);
                await client.GetManyAsync(_scope, Hashes(chain, first, count), _buffer, content.Bytes, _reads, CancellationToken.None).ConfigureAwait(false);
                for (var index = 0; index < count; index++)
                {
                    if (_reads[index].Status != GetStatus.Hit)
                    {
                        return first + index;
                    }

                    content.Fill(Hashes(chain, first + index, 1).Span, _written);
                    Wrong += content.IsRight(_written, _buffer.AsSpan(index * content.Bytes, content.Bytes), codec) ? 0 : 1;
                }
            }

            return matched;
        }

        private async Task WriteAsync(ReadOnlyMemory<byte> chain, int first, int count)
        {
            var payloads = new ReadOnlyMemory<byte>[count];
            for (var index = 0; index < count; index++)
            {
                var payload = _buffer.AsMemory(index * content.Bytes, content.Bytes);
                content.Fill(Hashes(chain, first + index, 1).Span, payload.Span);
                payloads[index] = payload;
            }

            await client.PutManyAsync(
                _scope, Hashes(chain, first, count), first == 0 ? default : Hashes(chain, first - 1, 1), payloads, _writes, CancellationToken.None).ConfigureAwait(false);
            if (_writes.AsSpan(0, count).Contains(PutStatus.Failed))
            {
                throw new LoadTestException(string.Create(CultureInfo.InvariantCulture, $"The node was lost, or refused, as block {first} of a prompt was written."));
            }
        }

        private static ReadOnlyMemory<byte> Hashes(ReadOnlyMemory<byte> chain, int first, int count) =>
            chain.Slice(first * Limits.ChainHashBytes, count * Limits.ChainHashBytes);
    }
}
