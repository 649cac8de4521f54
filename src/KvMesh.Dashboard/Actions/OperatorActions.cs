using System.Globalization;
using KvMesh.Client.Admin;
using Microsoft.AspNetCore.Http;

namespace KvMesh.Dashboard.Actions;

/// <summary>Something that an operator can do from a page, after a question.</summary>
/// <param name="Name">In addresses.</param>
/// <param name="Question">With {0} for the subject.</param>
/// <param name="Consequence">What happens, and how it is taken back.</param>
/// <param name="Button">The word that does it.</param>
/// <param name="Done">What is said afterwards, with {0} for the subject.</param>
/// <param name="IsGrave">Whether it takes something away.</param>
/// <param name="RunAsync">Does it. False: there is no such subject any more.</param>
internal sealed record OperatorAction(
    string Name, string Question, string Consequence, string Button, string Done, bool IsGrave, Func<AdminClient, string, CancellationToken, Task<bool>> RunAsync)
{
    public bool NeedsSubject => Question.Contains("{0}", StringComparison.Ordinal);

    public string Ask(string subject) => string.Format(CultureInfo.InvariantCulture, Question, subject);

    public string Tell(string subject) => string.Format(CultureInfo.InvariantCulture, Done, subject);
}

/// <summary>All of them. The node decides who may, and writes down who did.</summary>
internal static class OperatorActions
{
    /// <summary>Longer than any id of a node or an order.</summary>
    private const int MaxSubjectCharacters = 64;

    private static readonly Dictionary<string, OperatorAction> ByName = new OperatorAction[]
    {
        new(
            "cancel", "Cancel order {0}?",
            "What was moved already stays where it is. The scheduler may order the same again when it still seems worth it; pause the orders to keep it from that.",
            "Cancel the order", "Order {0} was cancelled.", IsGrave: true,
            async (admin, subject, stop) => long.TryParse(subject, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && await admin.CancelOrderAsync(id, stop)),
        new(
            "pause", "Pause the orders of this cluster?",
            "Plans are still made and shown, but nothing is moved ahead of need until somebody resumes. Nodes go on reading from each other. Pins that lose a copy stay without it.",
            "Pause", "Orders are paused.", IsGrave: true,
            async (admin, _, stop) => await DoneAsync(admin.PauseOrdersAsync(stop))),
        new(
            "resume", "Resume the orders of this cluster?", "What the plan asks for is ordered again.", "Resume", "Orders go on.", IsGrave: false,
            async (admin, _, stop) => await DoneAsync(admin.ResumeOrdersAsync(stop))),
        new(
            "drain", "Drain {0}?",
            "The node hands to others what should outlive it, and gets nothing new. It goes on serving, and can be taken back at any time. Stop it when it says that it is drained.",
            "Drain", "{0} is being drained.", IsGrave: true,
            async (admin, subject, stop) => await DoneAsync(admin.DrainNodeAsync(subject, stop))),
        new(
            "undrain", "Take {0} back?", "It is an ordinary member again. What was handed over stays where it is.", "Take it back", "{0} is an ordinary member again.", IsGrave: false,
            (admin, subject, stop) => admin.UndrainNodeAsync(subject, stop)),
        new(
            "forget", "Declare {0} gone?",
            "Every node forgets it at once, and what only it held is a miss from then on. Do this for a node that is dead and is not coming back; one that lives joins again by itself.",
            "Declare it gone", "{0} was declared gone.", IsGrave: true,
            (admin, subject, stop) => admin.ForgetNodeAsync(subject, stop)),
    }.ToDictionary(action => action.Name);

    public static string AddressOf(string action, string subject = "") =>
        DashboardExtensions.BasePath + "/act" + QueryString.Create("do", action).Add("subject", subject);

    /// <summary>The action that a request names, and its subject. Null when it names none that exists.</summary>
    public static OperatorAction? Find(string? name, string? subject) =>
        name is not null && ByName.TryGetValue(name, out var action)
        && (!action.NeedsSubject || subject is { Length: > 0 and <= MaxSubjectCharacters })
            ? action
            : null;

    /// <summary>What the page says after an action that its address names; null: none.</summary>
    public static string? DoneOf(IQueryCollection query) =>
        query["subject"].ToString() is var subject && Find(query["done"], subject) is { } action ? action.Tell(subject) : null;

    private static async Task<bool> DoneAsync(Task asked)
    {
        await asked.ConfigureAwait(false);
        return true;
    }
}
