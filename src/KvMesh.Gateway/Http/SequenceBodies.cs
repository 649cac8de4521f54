using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using KvMesh.Protocol;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;
using Microsoft.AspNetCore.Http.HttpResults;

namespace KvMesh.Gateway.Http;

/// <summary>A command that was read from a body, or why it was not.</summary>
/// <param name="Name">The sequence, where the body names it.</param>
internal readonly record struct SequenceBody(SequenceCommand? Command, ProblemHttpResult? Refusal, string? Name = null)
{
    public static implicit operator SequenceBody(ProblemHttpResult refusal) => new(null, refusal);

    public static implicit operator SequenceBody(SequenceCommand command) => new(command, null);
}

/// <summary>Makes commands of bodies. What the bodies cannot say is refused by field; what makes no sense, by the sequence's host.</summary>
internal static class SequenceBodies
{
    // A hundred years; times beyond are refused before they overflow anything.
    private const double MaxSeconds = 3.2e9;

    public static SequenceBody Open(SequenceOpenRequest body)
    {
        if (!TryRequestId(body.RequestId, out var requestId, out var refusal) || !TryHash("layoutHash", body.LayoutHash, isRequired: false, out var layout, out refusal)
            || !TrySeconds("idleLimitSeconds", body.IdleLimitSeconds, out var idle, out refusal) || !TrySeconds("lifetimeSeconds", body.LifetimeSeconds, out var lifetime, out refusal))
        {
            return refusal;
        }

        if (string.IsNullOrEmpty(body.Model) || System.Text.Encoding.UTF8.GetByteCount(body.Model) > BlockScope.MaxNameBytes)
        {
            return Problems.Field("model", body.Model, $"it must be 1 to {BlockScope.MaxNameBytes} bytes of text");
        }

        if (System.Text.Encoding.UTF8.GetByteCount(body.Revision ?? "") > BlockScope.MaxNameBytes)
        {
            return Problems.Field("revision", body.Revision, $"the limit is {BlockScope.MaxNameBytes} bytes");
        }

        var open = new OpenSequence
        {
            RequestId = requestId,
            Scope = new BlockScope(body.Model, body.Revision ?? "", layout, 0).Bytes,
            Parts = body.Parts ?? 1,
            Holder = body.Holder ?? "",
            IdleLimit = idle,
            Lifetime = lifetime,
            LosslessOnly = body.LosslessOnly,
        };
        return new SequenceBody(open, null, body.Name ?? "");
    }

    public static SequenceBody Append(SequenceAppendRequest body)
    {
        if (!TryRequestId(body.RequestId, out var requestId, out var refusal) || !TryHash("parentHash", body.ParentHash, isRequired: false, out var parent, out refusal)
            || !TryHash("firstHash", body.FirstHash, isRequired: true, out var first, out refusal) || !TryHash("lastHash", body.LastHash, isRequired: true, out var last, out refusal)
            || !TryCount("blocks", body.Blocks, uint.MaxValue, out refusal) || !TryCount("tokens", body.Tokens, uint.MaxValue, out refusal)
            || !TryCount("bytes", body.Bytes, long.MaxValue, out refusal))
        {
            return refusal;
        }

        return new AppendSegment
        {
            RequestId = requestId,
            Epoch = body.Epoch,
            ParentHash = parent,
            Blocks = (uint)body.Blocks,
            Tokens = (uint)body.Tokens,
            Bytes = (ulong)body.Bytes,
            FirstHash = first,
            LastHash = last,
        };
    }

    public static SequenceBody Fork(SequenceForkRequest body) =>
        !TryRequestId(body.RequestId, out var requestId, out var refusal) || !TryHash("lastHash", body.LastHash, isRequired: body.Blocks != 0, out var last, out refusal)
            ? refusal
            : new ForkSequence { RequestId = requestId, Target = body.Target ?? "", Blocks = body.Blocks, LastHash = last, Holder = body.Holder ?? "", LosslessOnly = body.LosslessOnly };

    public static SequenceBody Pin(SequencePinRequest body, TimeProvider time)
    {
        if (!TryRequestId(body.RequestId, out var requestId, out var refusal) || !TrySeconds("seconds", body.Seconds, out var length, out refusal))
        {
            return refusal;
        }

        return body is { Replicas: > 0, Seconds: null }
            ? Problems.Field("seconds", null, "a pin needs to know how long")
            : new PinSequence { RequestId = requestId, Epoch = body.Epoch ?? 0, Replicas = body.Replicas, Until = (time.GetUtcNow() + length).ToUnixTimeMilliseconds() };
    }

    public static SequenceBody Park(SequenceParkRequest body, TimeProvider time)
    {
        if (!TryRequestId(body.RequestId, out var requestId, out var refusal) || !TrySeconds("returnInSeconds", body.ReturnInSeconds, out var pause, out refusal))
        {
            return refusal;
        }

        var returnAt = body.ReturnInSeconds is null ? 0 : (time.GetUtcNow() + pause).ToUnixTimeMilliseconds();
        return new ParkSequence { RequestId = requestId, Epoch = body.Epoch ?? 0, NextHolder = body.NextHolder ?? "", ReturnAt = returnAt };
    }

    public static SequenceBody Resume(SequenceResumeRequest body) =>
        TryRequestId(body.RequestId, out var requestId, out var refusal) ? new ResumeSequence { RequestId = requestId, Holder = body.Holder ?? "" } : refusal;

    public static bool TryRequestId(string? text, out ulong requestId, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        requestId = 0;
        var isRead = text is null || (text.Length <= 16 && ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out requestId));
        refusal = isRead ? null : Problems.Field("requestId", text, "it must be 1 to 16 hexadecimal digits");
        return isRead;
    }

    private static bool TryHash(string field, string? text, bool isRequired, out BlockHash hash, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        hash = default;
        var isRead = (text is null && !isRequired) || BlockHash.TryParse(text, out hash);
        refusal = isRead ? null : Problems.Field(field, text, $"it must be {2 * Limits.ChainHashBytes} hexadecimal digits");
        return isRead;
    }

    private static bool TrySeconds(string field, double? seconds, out TimeSpan time, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        var isRead = seconds is null or (>= 0 and <= MaxSeconds);
        time = isRead ? TimeSpan.FromSeconds(seconds ?? 0) : default;
        refusal = isRead ? null : Problems.Field(field, seconds?.ToString(CultureInfo.InvariantCulture), $"it must be 0 to {MaxSeconds:0} seconds");
        return isRead;
    }

    private static bool TryCount(string field, long value, long highest, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        var isRead = value >= 0 && value <= highest;
        refusal = isRead ? null : Problems.Field(field, value.ToString(CultureInfo.InvariantCulture), $"it must be 0 to {highest}");
        return isRead;
    }
}
