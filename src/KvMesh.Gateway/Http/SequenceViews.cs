using KvMesh.Gateway.Access;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace KvMesh.Gateway.Http;

/// <summary>Sequences as the admin API shows them.</summary>
internal static class SequenceViews
{
    public static SequenceStatus View(string tenant, SequenceInfo info, bool isRepetition = false)
    {
        _ = BlockScope.TryParse(info.Scope.Span, out var model, out var revision);
        return new SequenceStatus(
            tenant,
            info.Name,
            Word(info.State),
            info.Epoch,
            info.Version,
            info.Blocks,
            info.Tokens,
            info.Bytes,
            info.Segments,
            info.LastHash.ToString(),
            model,
            revision,
            info.Parts,
            info.Holder,
            info.Pin.State == PinState.None ? null : new SequencePinStatus(
                info.Pin.State == PinState.Held ? "held" : "pending", info.Pin.Replicas, info.Pin.Copies, info.Pin.Blocks, Time(info.Pin.Until)),
            info.Origin.Name.Length == 0 ? null : new SequenceOriginStatus(info.Origin.Name, info.Origin.Segments, info.Origin.Blocks),
            info.Forks,
            Time(info.CreatedAt),
            Time(info.TouchedAt),
            Time(info.ExpiresAt),
            info.IdleMilliseconds / 1000.0,
            info.ReturnAt == 0 ? null : Time(info.ReturnAt),
            isRepetition)
        {
            LosslessOnly = info.LosslessOnly,
        };
    }

    public static SegmentStatus[] View(int first, ReadOnlySpan<SegmentRow> rows)
    {
        var views = new SegmentStatus[rows.Length];
        for (var index = 0; index < rows.Length; index++)
        {
            var row = rows[index];
            views[index] = new SegmentStatus(
                first + index, row.StartBlock, row.Blocks, (long)row.StartToken, row.Tokens, (long)row.Bytes, row.FirstHash.ToString(), row.LastHash.ToString());
        }

        return views;
    }

    public static ProblemHttpResult Problem(string name, SequenceRefusal refusal, string text)
    {
        // A list, and a store that is silent, are about no sequence in particular.
        var problem = name.Length == 0 || refusal == SequenceRefusal.Unavailable
            ? Problems.Plain(StatusOf(refusal), "Sequences cannot be had now", text)
            : Problems.Field("sequence", name, text.TrimEnd('.'), StatusOf(refusal));
        problem.ProblemDetails.Extensions["refusal"] = char.ToLowerInvariant(refusal.ToString()[0]) + refusal.ToString()[1..];
        return problem;
    }

    /// <summary>Names an endpoint for the OpenAPI document, with every refusal that a sequence may give.</summary>
    public static RouteHandlerBuilder DescribeSequence(this RouteHandlerBuilder builder, string name, string summary, AccessRights rights) => builder
        .Describe(name, summary, rights)
        .ProducesProblem(StatusCodes.Status404NotFound)
        .ProducesProblem(StatusCodes.Status409Conflict)
        .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
        .ProducesProblem(StatusCodes.Status503ServiceUnavailable);

    private static int StatusOf(SequenceRefusal refusal) => refusal switch
    {
        SequenceRefusal.NotFound => StatusCodes.Status404NotFound,
        SequenceRefusal.Invalid or SequenceRefusal.WrongBlock => StatusCodes.Status400BadRequest,
        SequenceRefusal.Unavailable or SequenceRefusal.Busy => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status409Conflict,
    };

    private static string Word(SequenceState state) => state switch
    {
        SequenceState.Active => "active",
        SequenceState.Parked => "parked",
        _ => "closed",
    };

    /// <summary>A time that a client of another clock may have made: never outside what a date can say.</summary>
    private static DateTimeOffset Time(long milliseconds) =>
        DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(milliseconds, 0, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));
}
