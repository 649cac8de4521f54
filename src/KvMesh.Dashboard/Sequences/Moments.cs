using KvMesh.Dashboard.Board;
using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Sequences;

/// <summary>A moment in the life of a sequence.</summary>
/// <param name="Tone">Name of its look in the style sheet.</param>
public sealed record Moment(string Name, DateTimeOffset At, string Note, string Tone = "");

/// <summary>What is known of the life of a sequence, in order of time.</summary>
internal static class Moments
{
    public static IReadOnlyList<Moment> Of(SequenceStatus sequence, DateTimeOffset now)
    {
        var moments = new List<Moment>
        {
            new("Opened", sequence.CreatedAt, sequence.Origin is { } origin ? $"as a fork of {origin.Name} after {Figures.Count(origin.Blocks)} blocks" : sequence.Model),
            new(sequence.State == "parked" ? "Parked" : sequence.State == "closed" ? "Closed" : "Last command", sequence.UsedAt, HolderOf(sequence)),
            new("Now", now, "", "now"),
        };
        if (sequence.State == "closed")
        {
            return [.. moments.OrderBy(moment => moment.At)];
        }

        if (sequence.ReturnAt is { } returnAt && sequence.State == "parked")
        {
            moments.Add(new Moment("Expected back", returnAt, sequence.Holder.Length > 0 ? $"on {sequence.Holder}" : "", "return"));
        }

        if (sequence.Pin is { State: "pending" or "held" } pin)
        {
            moments.Add(new Moment("Pin ends", pin.Until, $"{PinOf(sequence)}, {Figures.Count(pin.Blocks)} blocks", "pin"));
        }

        var idleEnd = sequence.UsedAt + TimeSpan.FromSeconds(Math.Min(sequence.IdleLimitSeconds, TimeSpan.FromDays(3650).TotalSeconds));
        var kept = sequence.Pin is { State: "pending" or "held" } held && held.Until > idleEnd ? held.Until : idleEnd;
        if (kept < sequence.EndsAt)
        {
            moments.Add(new Moment("Ends if nobody comes", kept, "after its idle limit, unless a command comes before", "end"));
        }

        moments.Add(new Moment("Ends at the latest", sequence.EndsAt, "", "end"));
        return [.. moments.OrderBy(moment => moment.At)];
    }

    /// <summary>"held, 2 of 2 copies"; a dash without a pin.</summary>
    public static string PinOf(SequenceStatus sequence) => sequence.Pin switch
    {
        { State: "pending" } pin => $"pending, {pin.Copies} of {pin.Replicas} copies",
        { State: "held" } pin => $"held, {pin.Copies} of {pin.Replicas} copies",
        _ => "–",
    };

    /// <summary>"12 s ago", "in 3 h 5 min".</summary>
    public static string Relative(DateTimeOffset at, DateTimeOffset now) =>
        at <= now ? $"{Figures.Span(now - at)} ago" : $"in {Figures.Span(at - now)}";

    private static string HolderOf(SequenceStatus sequence) => (sequence.State, sequence.Holder.Length) switch
    {
        (_, 0) => "",
        ("parked", _) => $"{sequence.Holder} is expected to resume it",
        _ => $"by {sequence.Holder}",
    };
}
