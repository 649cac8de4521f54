using KvMesh.Client.Admin;
using KvMesh.Dashboard.Access;
using KvMesh.Dashboard.Feed;
using KvMesh.Dashboard.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace KvMesh.Dashboard.Actions;

/// <summary>
/// Asks before it acts, and acts as the viewer: the node checks the right admin of the token and writes the action down. Only a form of this
/// server's own pages can act.
/// </summary>
internal sealed class ActionEndpoints(ViewerGate gate, NodeAddress node, TimeProvider time)
{
    private const string ClusterPath = DashboardExtensions.BasePath + "/cluster";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    public IResult Ask(HttpContext context)
    {
        PageEndpoints.SetHeaders(context);
        if (!gate.Look(context).IsAdmitted)
        {
            return PageEndpoints.AskForToken(null, StatusCodes.Status401Unauthorized);
        }

        var subject = context.Request.Query["subject"].ToString();
        return OperatorActions.Find(context.Request.Query["do"], subject) is { } action
            ? Question(action, subject, null, StatusCodes.Status200OK)
            : TypedResults.Redirect(ClusterPath);
    }

    public async Task<IResult> ActAsync(HttpContext context)
    {
        PageEndpoints.SetHeaders(context);
        var viewer = gate.Look(context);
        if (!viewer.IsAdmitted)
        {
            return PageEndpoints.AskForToken(null, StatusCodes.Status401Unauthorized);
        }

        if (!ViewerGate.IsFromOwnPage(context.Request) || !context.Request.HasFormContentType)
        {
            return TypedResults.StatusCode(StatusCodes.Status400BadRequest);
        }

        var form = await context.Request.ReadFormAsync(context.RequestAborted).ConfigureAwait(false);
        var subject = form["subject"].ToString();
        if (OperatorActions.Find(form["do"], subject) is not { } action)
        {
            return TypedResults.StatusCode(StatusCodes.Status400BadRequest);
        }

        var (status, words) = await RunAsync(action, subject, viewer, context.RequestAborted).ConfigureAwait(false);
        if (status == StatusCodes.Status401Unauthorized)
        {
            return PageEndpoints.AskForToken("The node wants a token for this.", status);
        }

        return words is null
            ? TypedResults.Redirect(ClusterPath + QueryString.Create("done", action.Name).Add("subject", subject))
            : Question(action, subject, words, status);
    }

    /// <summary>Null words: it was done.</summary>
    private async Task<(int Status, string? Words)> RunAsync(OperatorAction action, string subject, Viewer viewer, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        using var admin = new AdminClient(node.Resolve(), viewer.Token);
        try
        {
            return await action.RunAsync(admin, subject, either.Token).ConfigureAwait(false)
                ? (StatusCodes.Status200OK, null)
                : (StatusCodes.Status404NotFound, "There is nothing of that name any more; somebody else may have been faster.");
        }
        catch (AdminRefusedException refusal)
        {
            return ((int)refusal.StatusCode, refusal.LacksRights ? "Your token lacks the right “admin”, so the node refused." : refusal.Message);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException || late.IsCancellationRequested)
        {
            return (StatusCodes.Status502BadGateway, "The node did not answer, so it is not known whether this was done. Look at the page of the cluster before you try again.");
        }
    }

    private static RazorComponentResult<QuestionPage> Question(OperatorAction action, string subject, string? words, int status) => PageEndpoints.Page<QuestionPage>(status, new()
    {
        [nameof(QuestionPage.Name)] = action.Name,
        [nameof(QuestionPage.Subject)] = subject,
        [nameof(QuestionPage.Question)] = action.Ask(subject),
        [nameof(QuestionPage.Consequence)] = action.Consequence,
        [nameof(QuestionPage.Button)] = action.Button,
        [nameof(QuestionPage.IsGrave)] = action.IsGrave,
        [nameof(QuestionPage.Words)] = words,
    });
}
