using System.Runtime.CompilerServices;
using System.Threading.Channels;
using KvMesh.Client;
using KvMesh.Protocol.Sequences;
using KvMesh.Worker.Mesh;
using KvMesh.Worker.Serving;
using Microsoft.Extensions.Logging;

namespace KvMesh.Worker.Roles;

/// <summary>
/// Keeps the sequence that a request names: takes it before the first token, whoever had it, and behind the last one adds the blocks that are new and parks it. Any
/// worker of the fleet goes on with it, for its blocks are in the mesh. The sequence follows its requests: when a prompt does not begin with its blocks, it begins anew.
/// Without the mesh, or when it refuses, the tokens are the same and nothing is kept.
/// </summary>
/// <param name="inner">Who generates.</param>
/// <param name="parts">How blocks are cut; a sequence needs whole ones.</param>
/// <param name="blockTokens">Tokens of a block.</param>
/// <param name="link">The worker's node.</param>
/// <param name="publisher">Who puts blocks into the mesh.</param>
/// <param name="patience">Longest wait for the mesh behind an answer.</param>
/// <param name="counters">Where it counts.</param>
/// <param name="time">Its clock.</param>
/// <param name="logger">Where it tells of refusals.</param>
internal sealed partial class SequencedGenerator(
    IGenerator inner, BlockParts parts, int blockTokens, MeshLink link, MeshPublisher publisher, TimeSpan patience, MeshCounters counters, TimeProvider time,
    ILogger<SequencedGenerator> logger) : IGenerator
{
    private static readonly string Holder = NameOfHolder();

    public async IAsyncEnumerable<GeneratedToken> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Sequence is { } name && parts.Count > 1)
        {
            throw new ArgumentException($"Sequence is '{name}'; it must be null for a worker whose blocks have {parts.Count} parts.");
        }

        var tokens = new List<int>();
        var taken = request.Sequence is null ? null : await TakeAsync(request, cancellationToken).ConfigureAwait(false);
        try
        {
            await foreach (var token in inner.GenerateAsync(request, cancellationToken).ConfigureAwait(false))
            {
                tokens.Add(token.Token);
                yield return token;
            }
        }
        finally
        {
            // Also when the caller has left: what was computed is kept.
            if (taken is { } sequence)
            {
                await ParkAsync(request, sequence, tokens).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The sequence, this worker's from now on, with blocks that the prompt begins with. Null: it cannot be had.</summary>
    private async Task<SequenceInfo?> TakeAsync(GenerationRequest request, CancellationToken cancellationToken)
    {
        var name = request.Sequence!;
        if (link.Client is not { } client)
        {
            NoteUnkept(name, "the node was not reached");
            return null;
        }

        var granted = await client.Sequences.ResumeAsync(name, Holder, cancellationToken).ConfigureAwait(false);
        if (granted.Sequence is { } known && known.LosslessOnly && Begins(request, known))
        {
            return known;
        }

        if (granted.Sequence is { } other)
        {
            _ = await client.Sequences.CloseAsync(name, other.Epoch, cancellationToken).ConfigureAwait(false);
        }
        else if (granted.Refusal is not (SequenceRefusal.NotFound or SequenceRefusal.Closed))
        {
            NoteUnkept(name, granted.Text);
            return null;
        }

        var opened = await client.Sequences.OpenLosslessAsync(name, parts.Scope(0), Holder, cancellationToken).ConfigureAwait(false);
        if (opened.Sequence is not { } fresh || !Begins(request, fresh))
        {
            NoteUnkept(name, opened.IsOk ? "another worker has taken it meanwhile" : opened.Text);
            return null;
        }

        return fresh;
    }

    /// <summary>Whether the blocks of a sequence are the first ones of a prompt.</summary>
    private bool Begins(GenerationRequest request, SequenceInfo sequence)
    {
        var full = request.Prompt.Count / blockTokens;
        return sequence.Parts == 1 && sequence.Scope.Span.SequenceEqual(parts.Scope(0).Bytes.Span)
            && sequence.Blocks <= full
            && (sequence.Blocks == 0 || ChainOf(request.Prompt).Hash((int)sequence.Blocks - 1) == sequence.LastHash);
    }

    private async Task ParkAsync(GenerationRequest request, SequenceInfo sequence, List<int> answer)
    {
        using var limit = new CancellationTokenSource(patience, time);
        try
        {
            var client = link.Client!;
            await publisher.FlushAsync(limit.Token).ConfigureAwait(false);
            var chain = ChainOf([.. request.Prompt, .. answer]);
            var kept = chain.FullBlocks == 0
                ? 0
                : (await client.Lossless.MatchPrefixAsync(parts.Scope(0), chain.HashBytes(0, chain.FullBlocks), TimeSpan.Zero, limit.Token).ConfigureAwait(false)).Blocks;
            var refusal = kept > sequence.Blocks ? await AppendAsync(client, sequence, chain, kept, limit.Token).ConfigureAwait(false) : null;
            if (refusal is null)
            {
                var parked = await client.Sequences.ParkAsync(sequence.Name, sequence.Epoch, "", limit.Token).ConfigureAwait(false);
                refusal = parked.IsOk ? null : parked.Text;
            }

            if (refusal is not null)
            {
                NoteUnkept(sequence.Name, refusal);
                return;
            }

            counters.Add(figures => figures with { ParkedSequences = figures.ParkedSequences + 1 });
        }
        catch (OperationCanceledException)
        {
            NoteUnkept(sequence.Name, $"the mesh did not answer within {patience.TotalSeconds} s");
        }
        catch (Exception ended) when (ended is ObjectDisposedException or ChannelClosedException)
        {
            NoteUnkept(sequence.Name, "the worker ends");
        }
    }

    /// <summary>Adds the blocks behind those that the sequence has, in runs of what one command takes. Null: done.</summary>
    private async Task<string?> AppendAsync(KvMeshClient client, SequenceInfo sequence, TokenChain chain, int end, CancellationToken cancellationToken)
    {
        for (var first = (int)sequence.Blocks; first < end; first += SequenceLimits.MaxSegmentBlocks)
        {
            var count = Math.Min(SequenceLimits.MaxSegmentBlocks, end - first);
            var appended = await client.Sequences.AppendAsync(
                sequence.Name,
                new AppendSegment
                {
                    Epoch = sequence.Epoch,
                    ParentHash = first == 0 ? BlockHash.Root : chain.Hash(first - 1),
                    Blocks = (uint)count,
                    Tokens = (uint)(count * blockTokens),
                    Bytes = (ulong)count * (ulong)parts.PartBytes,
                    FirstHash = chain.Hash(first),
                    LastHash = chain.Hash(first + count - 1),
                },
                cancellationToken).ConfigureAwait(false);
            if (!appended.IsOk)
            {
                return appended.Text;
            }
        }

        return null;
    }

    private TokenChain ChainOf(IReadOnlyList<int> tokens) => new(tokens, tokens.Count, blockTokens);

    private void NoteUnkept(string sequence, string reason)
    {
        counters.Add(figures => figures with { UnkeptSequences = figures.UnkeptSequences + 1 });
        LogUnkept(sequence, reason);
    }

    private static string NameOfHolder()
    {
        var end = $":{Environment.ProcessId}";
        var machine = Environment.MachineName;
        return machine[..Math.Min(machine.Length, (SequenceLimits.MaxHolderBytes / 4) - end.Length)] + end;
    }

    [LoggerMessage(6021, LogLevel.Warning, "Sequence {Sequence} is not kept as it is now: {Reason}")]
    private partial void LogUnkept(string sequence, string reason);
}
