using KvMesh.Client.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>
/// Sequences in a Redis that may not answer in time on a busy machine, or to which the scheduler writes at the same time: asked again until there is an
/// answer. With a request id of its own nothing happens twice.
/// </summary>
internal static class PatientSequences
{
    public static async Task<SequenceResult> AnswerAsync(this SequenceClient sequences, string name, SequenceCommand command)
    {
        SequenceResult result = null!;
        await Eventually.Holds(
            async () => (result = await sequences.ExecuteAsync(name, command, CancellationToken.None)).Refusal is not (SequenceRefusal.Unavailable or SequenceRefusal.Busy),
            () => $"an answer about the sequence {name}; the last was {result.Text}");
        return result;
    }

    public static async Task<SequenceGrant> GrantAsync(this SequenceClient sequences, string name, string holder)
    {
        SequenceGrant grant = null!;
        await Eventually.Holds(
            async () => (grant = await sequences.ResumeAsync(name, holder, CancellationToken.None)).Refusal is not (SequenceRefusal.Unavailable or SequenceRefusal.Busy),
            () => $"a grant of the sequence {name}; the last word was {grant.Text}");
        return grant;
    }
}
